// Hours in small: mixed load with callers that leave, errors, streams and changed settings, while the agent's memory,
// descriptors and timers are watched.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../src/core/random.ts';
import type { AgentProcess } from './peers/agent-process.ts';
import { countFds, readPssBytes } from './process-use.ts';
import type { Looks } from './soak-look.ts';
import { runLoad, type Ask, type Sent } from './soak-load.ts';
import type { ProbeSample } from './soak-probe.ts';
import { toPredict, toRequest } from './wire-client.ts';
import { statusOf } from './wire-parser.ts';
import { answerEcho, toWire, type Script } from './wire-recorder.ts';

export interface SoakPlan {
  readonly seconds: number;
  readonly ratePerS: number;
  readonly seed: number;
}

export interface SoakSample {
  /** Since the load began. */
  readonly atS: number;
  readonly dataBytes: number;
  readonly supervisorBytes: number;
  /** Null while there is none. */
  readonly mindBytes: number | null;
  readonly fds: number;
}

/** What a process still uses after a collection of garbage: a leak shows here first, and nothing else does. */
export interface InUse {
  readonly atS: number;
  readonly dataBytes: number;
  readonly supervisorBytes: number;
}

/** The agent at rest: nothing in flight, idle connections closed, garbage collected. */
export interface AtRest {
  readonly probe: ProbeSample;
  readonly fds: number;
  /** Lines of the metrics page that are series. */
  readonly series: number;
}

export interface SoakResult {
  readonly sent: number;
  readonly wrong: string[];
  /** By what came of them. */
  readonly ends: Readonly<Record<string, number>>;
  readonly settingsChanges: number;
  readonly samples: readonly SoakSample[];
  readonly inUse: readonly InUse[];
  readonly loopDelayP99Ms: readonly number[];
  readonly before: AtRest;
  readonly after: AtRest;
  readonly logLines: number;
}

const WARM_S = 10;
/** Longer than the agent keeps an idle connection to the model server. */
const REST_MS = 6_500;
const SAMPLE_MS = 3_000;
const LOOK_MS = 5_000;
const SETTINGS_MS = 2_000;
const EVENTS = 5;

/** The model server of a soak: V1 and V2 echo, events, and errors where asked. */
export const soakScript: Script = {
  request(seen) {
    const { socket } = seen.link;
    if (seen.target === '/events') {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      let events = 0;
      const timer = setInterval(() => {
        events += 1;
        socket.write(`9\r\ndata: ${events}\n\n\r\n${events === EVENTS ? '0\r\n\r\n' : ''}`);
        if (events === EVENTS || socket.destroyed) clearInterval(timer);
      }, 40);
    } else if (seen.target === '/error') socket.write(toWire('{"error":"as asked"}', '500 X'));
    else setTimeout(() => answerEcho(seen), 3);
  },
};

/** The agent must have been started with `looks.env`, the recorder with `soakScript`. */
export async function runSoak(agent: AgentProcess, looks: Looks, plan: SoakPlan): Promise<SoakResult> {
  const pid = agent.pidOf('data') ?? 0;
  const random = createRandom(plan.seed);
  const wrong: string[] = [];
  const ends: Record<string, number> = {};
  let sent = 0;
  const load = (seconds: number): Promise<void> => {
    const endMs = performance.now() + seconds * 1000;
    const checks = new Map<number, Check>();
    return runLoad({
      ratePerS: plan.ratePerS,
      timeoutMs: 12_000,
      next(index) {
        if (performance.now() > endMs) return null;
        const { ask, check } = toMixed(agent.port, index, random);
        checks.set(index, check);
        return ask;
      },
      done(one) {
        sent += 1;
        const check = checks.get(one.index)!;
        checks.delete(one.index);
        const end = one.answer === null ? one.why : String(statusOf(one.answer));
        ends[end] = (ends[end] ?? 0) + 1;
        const word = check(one);
        if (word !== null) wrong.push(word);
      },
    });
  };
  const rest = async (): Promise<AtRest> => {
    await sleep(REST_MS);
    const page = await (await fetch(`http://127.0.0.1:${agent.metricsPort}/metrics`)).text();
    await sleep(500);
    return {
      probe: await looks.look(pid),
      fds: countFds(pid) ?? 0,
      series: page.split('\n').filter((line) => /^[a-z]/.test(line)).length,
    };
  };

  await load(WARM_S);
  const before = await rest();
  const linesBefore = agent.logs.length;
  const samples: SoakSample[] = [];
  const loopDelayP99Ms: number[] = [];
  const inUse: InUse[] = [];
  let settingsChanges = 0;
  let isOver = false;
  const startMs = performance.now();
  const every = async (ms: number, act: () => Promise<void> | void): Promise<void> => {
    for (;;) {
      await sleep(ms);
      if (isOver) return;
      await act();
    }
  };
  const watching = [
    every(SAMPLE_MS, () => {
      const mind = agent.pidOf('mind');
      samples.push({
        atS: (performance.now() - startMs) / 1000,
        dataBytes: readPssBytes(pid) ?? 0,
        supervisorBytes: readPssBytes(agent.supervisor.pid ?? 0) ?? 0,
        mindBytes: mind === null ? null : readPssBytes(mind),
        fds: countFds(pid) ?? 0,
      });
    }),
    every(LOOK_MS, async () => {
      const [data, supervisor] = await Promise.all([looks.look(pid), looks.look(agent.supervisor.pid ?? 0)]);
      loopDelayP99Ms.push(data.loopDelayP99Ms);
      inUse.push({
        atS: (performance.now() - startMs) / 1000,
        dataBytes: data.heapUsedBytes + data.externalBytes,
        supervisorBytes: supervisor.heapUsedBytes + supervisor.externalBytes,
      });
    }),
    every(SETTINGS_MS, async () => {
      if (await changeSettings(agent, random)) settingsChanges += 1;
    }),
  ];
  await load(plan.seconds);
  isOver = true;
  await Promise.all(watching);
  const logLines = agent.logs.length - linesBefore;
  const after = await rest();
  return { sent, wrong, ends, settingsChanges, samples, inUse, loopDelayP99Ms, before, after, logLines };
}

/** What is wrong with what came of a request, or null. */
type Check = (sent: Sent) => string | null;

function toMixed(port: number, index: number, random: Random): { readonly ask: Ask; readonly check: Check } {
  const item = `item-${index}-${random.int(1e9)}`;
  const model = ['a', 'b', 'c'][random.int(3)]!;
  const headers = [`authorization: user ${random.int(3)}`];
  const own: Check = ({ answer, why }) =>
    answer?.body.toString() === `{"predictions":["${item}"]}`
      ? null
      : `${item}: ${why} ${answer?.start} ${answer?.body.toString().slice(0, 100)}`;
  const status =
    (...wanted: number[]): Check =>
    ({ answer, why }) =>
      answer !== null && wanted.includes(statusOf(answer)) ? null : `${wanted.join()} wanted: ${why} ${answer?.start}`;
  const predict = toPredict([item], headers, model);
  const draw = random.int(100);
  if (draw < 60) return { ask: { port, bytes: predict }, check: own };
  if (draw < 75) return { ask: { port, bytes: toRequest('GET', `/v1/models/${model}`, null) }, check: status(200) };
  if (draw < 82) return { ask: { port, bytes: toRequest('POST', '/raw', 'x'.repeat(20_000)) }, check: status(200) };
  if (draw < 90) return { ask: { port, bytes: predict, leaveAfterMs: random.int(8) }, check: () => null };
  if (draw < 92) return { ask: { port, bytes: toRequest('GET', '/error', null) }, check: status(500) };
  if (draw < 94) return { ask: { port, bytes: toRequest('GET', 'http://evil/', null) }, check: status(400) };
  if (draw < 96) {
    const hurried = toPredict([item], [...headers, `x-request-timeout-ms: ${1 + random.int(6)}`], model);
    // Too late, or known beforehand to be too late, or just in time.
    return { ask: { port, bytes: hurried }, check: (sent) => (status(503, 504)(sent) === null ? null : own(sent)) };
  }
  if (draw < 99) {
    const events: Check = ({ answer, why }) =>
      answer?.body.toString().match(/data: /g)?.length === EVENTS ? null : `events: ${why} ${answer?.body.toString()}`;
    return { ask: { port, bytes: toRequest('GET', '/events', null) }, check: events };
  }
  return { ask: { port, bytes: toPredict(['y'.repeat(200_000)], headers, model) }, check: status(200) };
}

async function changeSettings(agent: AgentProcess, random: Random): Promise<boolean> {
  const settings = {
    batchSize: 1 + random.int(64),
    batchDelayMs: random.int(4),
    concurrency: 1 + random.int(8),
    switches: {},
  };
  const model = ['a', 'b', 'c'][random.int(3)]!;
  const token = readFileSync(join(agent.stateDir, 'token'), 'utf8').trim();
  const response = await fetch(`http://127.0.0.1:${agent.controlPort}/v1/settings?model=${model}&immediate=true`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(settings),
  });
  await response.arrayBuffer();
  return response.status === 200;
}

/** Least squares: the slope of y over x, and its standard error. Infinity for fewer than three points. */
export function fitSlope(points: readonly (readonly [x: number, y: number])[]): { slope: number; error: number } {
  const n = points.length;
  if (n < 3) return { slope: 0, error: Infinity };
  const mean = (pick: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / n;
  const x0 = mean(([x]) => x);
  const y0 = mean(([, y]) => y);
  const sxx = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / sxx;
  const residual = points.reduce((sum, [x, y]) => sum + (y - y0 - slope * (x - x0)) ** 2, 0);
  return { slope, error: Math.sqrt(residual / (n - 2) / sxx) };
}
