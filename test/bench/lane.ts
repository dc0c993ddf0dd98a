// How many requests a second one core can take through a lane in virtual time: the budget of simulation and training.
//
//     node test/bench/lane.ts [requests]      JSON on stdout
//
// A closed loop: the next request arrives when the clock gets there, a batch of b items takes 4 + 0.1 b ms.
import { cpus } from 'node:os';
import type { SettingsVersion } from '../../src/core/settings.ts';
import { createRandom } from '../../src/core/random.ts';
import { createLane } from '../../sidecar/proxy/lane.ts';
import { EngineGate } from '../../sidecar/proxy/limit.ts';
import type { Batch, Lane, Waiting } from '../../sidecar/proxy/waiting.ts';

class Arrival implements Waiting {
  readonly key: string;
  readonly items = 1;
  readonly isBatchable = true;
  readonly arrivedMs: number;
  readonly deadlineMs: number;
  readonly priority = 1;
  slot = -1;

  constructor(key: string, arrivedMs: number, deadlineMs: number) {
    this.key = key;
    this.arrivedMs = arrivedMs;
    this.deadlineMs = deadlineMs;
  }
}

interface Scenario {
  readonly name: string;
  readonly ratePerMs: number;
  readonly keys: number;
  readonly deadlineMs: number;
  readonly batchDelayMs: number;
  readonly concurrency: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'one key, 70 % load', ratePerMs: 4.2, keys: 1, deadlineMs: Infinity, batchDelayMs: 0, concurrency: 1 },
  { name: 'one key, 20 % load', ratePerMs: 1.2, keys: 1, deadlineMs: Infinity, batchDelayMs: 0, concurrency: 1 },
  { name: 'one key, delay 10 ms', ratePerMs: 4.2, keys: 1, deadlineMs: Infinity, batchDelayMs: 10, concurrency: 2 },
  { name: 'one key, 3x overload', ratePerMs: 18, keys: 1, deadlineMs: Infinity, batchDelayMs: 0, concurrency: 1 },
  { name: 'one key, deadlines', ratePerMs: 4.2, keys: 1, deadlineMs: 200, batchDelayMs: 0, concurrency: 1 },
  { name: '100 keys', ratePerMs: 0.4, keys: 100, deadlineMs: Infinity, batchDelayMs: 0, concurrency: 1 },
];

/** Requests per second of processor time, garbage collection included: a busy machine changes it little. */
function run(scenario: Scenario, requests: number): number {
  const version: SettingsVersion = {
    settings: { batchSize: 64, batchDelayMs: scenario.batchDelayMs, concurrency: scenario.concurrency, switches: {} },
    generation: 1,
    source: 'start',
  };
  const random = createRandom(1);
  const lane = createLane<Arrival>({
    model: 'bench',
    settings: () => version,
    maxBatchSize: () => Infinity,
    sla: () => 100,
    gate: new EngineGate<Lane<Arrival>>(64),
    queueRequests: 100_000,
    random,
  });
  const gapsMs = Float64Array.from({ length: 4096 }, () => random.exponential(1 / scenario.ratePerMs));
  const keys = Array.from({ length: scenario.keys }, (_, index) => `key-${index}`);
  const running: Batch<Arrival>[] = [];
  let served = 0;
  let shed = 0;

  let wakeMs = Infinity;
  const pump = (nowMs: number): void => {
    for (;;) {
      const step = lane.next(nowMs);
      if (step.kind === 'dispatch') running.push(step.batch);
      else if (step.kind === 'expired') shed += step.requests.length;
      else {
        wakeMs = step.kind === 'wait' ? step.untilMs : Infinity;
        return;
      }
    }
  };
  // In this engine calls end in the order in which they started, or nearly: the first is looked at only.
  const endMs = (): number => (running[0] === undefined ? Infinity : running[0].startedMs + 4 + 0.1 * running[0].items);

  const started = process.cpuUsage();
  let arrived = 0;
  let nextMs = 0;
  while (arrived < requests || running.length > 0 || lane.queuedRequests > 0) {
    const arriveMs = arrived < requests ? nextMs : Infinity;
    const nowMs = Math.min(arriveMs, endMs(), wakeMs);
    if (nowMs === arriveMs) {
      const arrival = new Arrival(keys[arrived % keys.length]!, nowMs, nowMs + scenario.deadlineMs);
      if (lane.arrive(arrival, nowMs).kind === 'shed') shed++;
      nextMs += gapsMs[arrived & 4095]!;
      arrived++;
    } else if (nowMs === endMs()) {
      const batch = running.shift()!;
      lane.finish(batch, 'success', nowMs);
      served += batch.members.length;
    }
    pump(nowMs);
  }
  if (served + shed !== requests) throw new Error(`lost: ${requests - served - shed} of ${requests}`);
  const { user, system } = process.cpuUsage(started);
  return requests / ((user + system) / 1e6);
}

const requests = Number(process.argv[2] ?? 1_000_000);
const results = SCENARIOS.map((scenario) => {
  run(scenario, requests / 4);
  const runs = Array.from({ length: 5 }, () => Math.round(run(scenario, requests))).sort((a, b) => a - b);
  return { name: scenario.name, requestsPerS: { median: runs[2], least: runs[0], most: runs[4] } };
});
process.stdout.write(
  `${JSON.stringify({ bench: 'lane', node: process.version, cpu: cpus()[0]?.model, requests, runs: 5, results }, null, 2)}\n`,
);
