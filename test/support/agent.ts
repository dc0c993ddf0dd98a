// The agent as a user starts it: `morphling agent` with flags and a file, on ports of its own, asked by its own API.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePage, type MetricsReading } from './agent-metrics.ts';
import { findFreePorts } from './servers/ports.ts';

export interface AgentOptions {
  /** The configuration file, as it would be written in YAML. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Further flags, such as `--decider fixed`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Agent extends AsyncDisposable {
  /** The data port, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly controlUrl: string;
  readonly metricsUrl: string;
  /** The supervisor, which is what the shell of a user would wait for. */
  readonly pid: number;
  readonly logs: readonly string[];
  /** Waits for a line of the log. */
  logged(pattern: RegExp, timeoutMs?: number): Promise<void>;
  /** Asks the control port with the token; throws on any answer but 200. */
  control<T>(method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown): Promise<T>;
  /** The metrics page, read. */
  metrics(): Promise<MetricsReading>;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
}

/** A model as `GET /v1/status` tells of it; only what tests look at. */
export interface ModelStatus {
  readonly model: string;
  readonly settings: { readonly batchSize: number; readonly batchDelayMs: number; readonly concurrency: number };
  readonly generation: number;
  readonly source: string;
  readonly sla: { readonly p99Ms: number | null; readonly isAssumed: boolean };
  readonly meanBatchItems: number | null;
  readonly batching: { readonly isBatchable: boolean; readonly reason: string } | null;
}

const ENTRY = join(import.meta.dirname, '..', '..', 'src/cli/morphling.mjs');
const READY_TIMEOUT_MS = 20_000;
/** A drain of half a second: tests stop many agents. */
const FLAT_CONFIG = { drain: { delayMs: 0, timeoutMs: 5000 } };

/** Starts an agent before `upstream` and waits until it serves. It ends with `stop`, or with the process that started it. */
export async function startAgent(upstream: string, options: AgentOptions = {}): Promise<Agent> {
  const [port = 0, controlPort = 0, metricsPort = 0] = await findFreePorts(3);
  const folder = mkdtempSync(join(tmpdir(), 'morphling-agent-'));
  const file = join(folder, 'morphling.yaml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ ...FLAT_CONFIG, ...options.config }));
  const stateDir = join(folder, 'state');
  const addresses = { listen: port, control: controlPort, metrics: metricsPort };
  const child = spawn(
    process.execPath,
    [
      ENTRY,
      'agent',
      '--config',
      file,
      '--upstream',
      upstream,
      '--state-dir',
      stateDir,
      ...Object.entries(addresses).flatMap(([name, at]) => [`--${name}`, `127.0.0.1:${at}`]),
      ...(options.flags ?? []),
    ],
    { env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...options.env }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  // Nothing of it may outlive a test run that was broken off.
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const logs: string[] = [];
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    logs.push(...lines);
  });
  let exitCode: number | null | undefined;
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      exitCode = code;
      process.removeListener('exit', killNow);
      rmSync(folder, { recursive: true, force: true });
      resolve(code);
    });
  });
  const controlUrl = `http://127.0.0.1:${controlPort}`;
  const metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;

  const agent: Agent = {
    url: `http://127.0.0.1:${port}`,
    port,
    controlUrl,
    metricsUrl,
    pid: child.pid ?? 0,
    logs,
    logged: (pattern, timeoutMs = 10_000) =>
      until(
        () => logs.some((line) => pattern.test(line)),
        timeoutMs,
        () => `no log line ${pattern}:\n${logs.join('\n')}`,
      ),
    async control<T>(method: string, path: string, body?: unknown): Promise<T> {
      const token = readFileSync(join(stateDir, 'token'), 'utf8').trim();
      const response = await fetch(controlUrl + path, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return JSON.parse(text) as T;
    },
    async metrics() {
      return parsePage(await (await fetch(metricsUrl)).text());
    },
    async stop() {
      if (exitCode === undefined) child.kill('SIGTERM');
      const late = setTimeout(killNow, 15_000);
      const code = await ended;
      clearTimeout(late);
      return code;
    },
    async [Symbol.asyncDispose]() {
      await agent.stop();
    },
  };
  await until(
    () => exitCode !== undefined || logs.some((line) => line.includes('"data ready"')),
    READY_TIMEOUT_MS,
    () => `the agent was not ready:\n${logs.join('\n')}`,
  );
  if (exitCode !== undefined) throw new Error(`the agent ended with ${exitCode}:\n${logs.join('\n')}`);
  return agent;
}

/** One model of `GET /v1/status`. */
export async function modelStatus(agent: Agent, model: string): Promise<ModelStatus | undefined> {
  const { models } = await agent.control<{ models: ModelStatus[] }>('GET', '/v1/status');
  return models.find((one) => one.model === model);
}

/** Waits until a condition holds, looking every few milliseconds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: () => string,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what()}`);
    await sleep(10);
  }
}
