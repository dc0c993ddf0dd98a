// The demo: the same real arrivals before each contestant, measured by the client alone.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MorphlingError } from '../../src/core/errors.ts';
import { ClientMeter, type ClientGlance, type ClientSummary } from './client-meter.ts';
import type { Payload } from './client-payload.ts';
import { runClient, sleep } from './client.ts';
import type { Arm } from './demo-arms.ts';
import type { DemoArrivals } from './demo-arrivals.ts';
import { startProgram, untilReady, type Program } from './demo-process.ts';
import { readAgent, readServer, type AgentGlance, type ServerCounters } from './demo-sources.ts';

export interface DemoOptions {
  /** Program and first arguments of this very command line: `[node, morphling.mjs]`. */
  readonly morphling: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly arms: readonly Arm[];
  readonly arrivals: DemoArrivals;
  readonly model: string;
  readonly payload: Payload;
  readonly slaMs: number;
  readonly seed: number;
  /** Id of the shipped profile the embedded server follows; or the origin of a server that is already there. */
  readonly server: { readonly profileId: string } | { readonly url: string };
}

/** What is on the screen. */
export interface DemoState {
  readonly arm: Arm;
  readonly armIndex: number;
  readonly phase: 'starting' | 'running' | 'draining';
  readonly elapsedS: number;
  readonly durationS: number;
  readonly client: ClientGlance;
  /** Of about the last second; null where nobody tells. */
  readonly gpuBusyRatio: number | null;
  readonly meanBatchItems: number | null;
  readonly agent: AgentGlance | null;
  readonly finished: readonly ArmResult[];
}

/** One line of the table. */
export interface ArmResult extends ClientSummary {
  readonly id: Arm['id'];
  readonly title: string;
  /** Share of the arm's time in which the device ran anything; null for a server of the user's own. */
  readonly gpuBusyRatio: number | null;
  readonly meanBatchItems: number | null;
  /** Settings at the end; null without an agent. */
  readonly settings: AgentGlance['settings'];
  /** Times the settings were changed. */
  readonly changes: number | null;
}

/** Ample for three processes on a busy machine. */
const READY_TIMEOUT_MS = 30_000;
const GLANCE_EVERY_MS = 250;
/** Whoever waits longer than this has gone; KServe's 5 s delay fits. */
const CLIENT_TIMEOUT_MS = 10_000;

/**
 * Runs every arm after the other, each with a fresh server and a fresh agent. `show` is called four times a second.
 * All processes it started have ended when it settles, also when `signal` aborts (then it throws the abort reason).
 */
export async function runDemo(
  options: DemoOptions,
  show: (state: DemoState) => void,
  signal: AbortSignal,
): Promise<readonly ArmResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'morphling-demo-'));
  const finished: ArmResult[] = [];
  try {
    for (const [armIndex, arm] of options.arms.entries())
      finished.push(await runArm(options, arm, { armIndex, folder: join(folder, arm.id), finished }, show, signal));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return finished;
}

interface Place {
  readonly armIndex: number;
  readonly folder: string;
  readonly finished: readonly ArmResult[];
}

async function runArm(
  options: DemoOptions,
  arm: Arm,
  place: Place,
  show: (state: DemoState) => void,
  signal: AbortSignal,
): Promise<ArmResult> {
  const programs: Program[] = [];
  const meter = new ClientMeter(options.slaMs);
  const durationS = options.arrivals.durationS;
  const base = { arm, armIndex: place.armIndex, durationS, finished: place.finished };
  const idle = { elapsedS: 0, gpuBusyRatio: null, meanBatchItems: null, agent: null };
  show({ ...base, ...idle, phase: 'starting', client: meter.glance(performance.now()) });
  try {
    const smi = join(place.folder, 'nvidia-smi');
    const serverUrl = 'url' in options.server ? options.server.url : await startServer(options, smi, programs, signal);
    const agent =
      arm.agentEnv === null ? null : await startAgent(options, arm.agentEnv, serverUrl, place, programs, signal);
    const stopGlancing = new AbortController();
    const watched = AbortSignal.any([signal, stopGlancing.signal]);
    const before = await readServer(serverUrl, watched);
    const startMs = performance.now();
    let latest: AgentGlance | null = null;
    const watch = async (): Promise<void> => {
      const marks: ServerCounters[] = [];
      while (!watched.aborted) {
        const [server, said] = await Promise.all([
          readServer(serverUrl, watched),
          agent === null ? null : readAgent(agent.controlUrl, options.model, watched),
        ]);
        if (watched.aborted) return;
        latest = said ?? latest;
        if (server !== null) marks.push(server);
        const elapsedS = (performance.now() - startMs) / 1000;
        show({
          ...base,
          elapsedS,
          phase: elapsedS < durationS ? 'running' : 'draining',
          client: meter.glance(performance.now()),
          gpuBusyRatio: server?.utilizationRatio ?? null,
          meanBatchItems: toMeanBatch(marks.at(-9) ?? marks[0] ?? null, server),
          agent: latest,
        });
        await sleep(GLANCE_EVERY_MS, watched);
      }
    };
    const watching = watch();
    const { timesS } = options.arrivals;
    const client = {
      payload: options.payload,
      timesS,
      durationS,
      slaMs: options.slaMs,
      meter,
      timeoutMs: CLIENT_TIMEOUT_MS,
    };
    const summary = await runClient({ ...client, url: agent?.dataUrl ?? serverUrl }, signal);
    const ranS = (performance.now() - startMs) / 1000;
    const after = await readServer(serverUrl, signal);
    const last = agent === null ? null : await readAgent(agent.controlUrl, options.model, signal);
    stopGlancing.abort();
    await watching;
    signal.throwIfAborted();
    return {
      ...summary,
      id: arm.id,
      title: arm.title,
      gpuBusyRatio: before === null || after === null ? null : Math.min(1, (after.busyS - before.busyS) / ranS),
      meanBatchItems: toMeanBatch(before, after),
      settings: last?.settings ?? null,
      changes: last === null || last.generation === null ? null : last.generation - 1,
    };
  } finally {
    // The agent first: a server that goes away under it would only be an error to it.
    for (const program of programs.toReversed()) await program.stop();
  }
}

async function startServer(
  options: DemoOptions,
  smi: string,
  programs: Program[],
  signal: AbortSignal,
): Promise<string> {
  if ('url' in options.server) return options.server.url;
  const { promise: listening, resolve } = Promise.withResolvers<string>();
  const command = [
    ...options.morphling,
    'emulate',
    '--profile-id',
    options.server.profileId,
    '--listen',
    '127.0.0.1:0',
  ];
  const more = ['--model', options.model, '--seed', String(options.seed), '--nvidia-smi', smi];
  const start = { name: 'the emulated server', command: [...command, ...more], env: options.env };
  const program = startProgram(start, (line) => {
    const url = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (url !== undefined) resolve(url);
  });
  programs.push(program);
  const url = await Promise.race([listening, untilEnded(program, signal)]);
  await untilReady(program, `${url}/v2/health/ready`, READY_TIMEOUT_MS, signal);
  return url;
}

async function startAgent(
  options: DemoOptions,
  agentEnv: Readonly<Record<string, string>>,
  upstream: string,
  place: Place,
  programs: Program[],
  signal: AbortSignal,
): Promise<{ dataUrl: string; controlUrl: string }> {
  const [data = 0, control = 0, metrics = 0] = await findFreePorts(3);
  // What the user's shell says about an agent of theirs must not reach this one.
  const inherited = Object.entries(options.env).filter(([name]) => !name.startsWith('MORPHLING_'));
  const program = startProgram({
    name: 'the agent',
    command: [...options.morphling, 'agent'],
    env: {
      ...Object.fromEntries(inherited),
      MORPHLING_LISTEN: `127.0.0.1:${data}`,
      MORPHLING_CONTROL: `127.0.0.1:${control}`,
      MORPHLING_METRICS: `127.0.0.1:${metrics}`,
      MORPHLING_UPSTREAM: upstream,
      MORPHLING_STATE_DIR: join(place.folder, 'state'),
      MORPHLING_DRAIN_DELAY_MS: '0',
      MORPHLING_DRAIN_TIMEOUT_MS: '1000',
      MORPHLING_LOG_LEVEL: 'warn',
      ...('url' in options.server ? {} : { MORPHLING_TELEMETRY_NVIDIA_SMI: join(place.folder, 'nvidia-smi') }),
      ...agentEnv,
    },
  });
  programs.push(program);
  await untilReady(program, `http://127.0.0.1:${metrics}/ready`, READY_TIMEOUT_MS, signal);
  return { dataUrl: `http://127.0.0.1:${data}`, controlUrl: `http://127.0.0.1:${control}` };
}

/** Rejects when the program ends or the demo is aborted. */
async function untilEnded(program: Program, signal: AbortSignal): Promise<never> {
  while (program.exitCode() === null) {
    signal.throwIfAborted();
    await sleep(50, signal);
  }
  throw new MorphlingError('INTERNAL', `${program.name} ended with code ${program.exitCode()}: ${program.lastWords()}`);
}

/** Ports that were free a moment ago, all different. */
async function findFreePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return address === null || typeof address === 'string' ? 0 : address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function toMeanBatch(from: ServerCounters | null, to: ServerCounters | null): number | null {
  if (from === null || to === null || to.batches === from.batches) return null;
  return (to.items - from.items) / (to.batches - from.batches);
}
