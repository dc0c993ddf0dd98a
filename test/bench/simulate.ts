// How many requests a second one core simulates, and what a decision costs: `node test/bench/simulate.ts` prints JSON.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { Planner } from '../../sidecar/decide/planner.ts';
import { runAgent } from '../../sidecar/lab/agent-run.ts';
import { createCell, toCellPolicy } from '../../sidecar/lab/cell.ts';
import { ConstantRunner } from '../../sidecar/lab/constant-run.ts';
import { toProfilesFile } from '../../sidecar/lab/demo-data.ts';
import { createCurve, findProfile, parseProfiles } from '../../sidecar/lab/profiles.ts';
import { runWorld } from '../../sidecar/lab/world.ts';
import type { Settings } from '../../src/core/settings.ts';
import { isIssue, parseWorkload } from '../../src/traffic/workload.ts';

const REQUESTS = 300_000;
const RUNS = 7;
const profiles = parseProfiles(readFileSync(toProfilesFile(), 'utf8'));
const { points } = findProfile(profiles, 'ResNet-50-v1.5|V100-16GB|FP32|PyTorch');

const settings = (batchSize: number, delayRatio: number, concurrency: number, slaMs: number): Settings => ({
  batchSize,
  batchDelayMs: delayRatio * slaMs,
  concurrency,
  switches: {},
});
const SCENARIOS = [
  { name: '64, 0, 1 at 70 %', workload: 'poisson:70%', setting: [64, 0, 1] },
  { name: '16, sla/10, 3 at 70 %', workload: 'poisson:70%', setting: [16, 0.1, 3] },
  { name: '4, 0, 4 at 20 %', workload: 'poisson:20%', setting: [4, 0, 4] },
  { name: '64, 0, 1 at 130 %', workload: 'poisson:130%', setting: [64, 0, 1] },
] as const;

/** Processor time of the best of several runs: other work on the machine changes it little. */
function cpuS(work: () => void): number {
  let least = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1e6);
  }
  return least;
}

const results = SCENARIOS.map(({ name, workload: spec, setting }) => {
  const workload = parseWorkload(spec);
  if (isIssue(workload)) throw new Error(workload.expected);
  const cell = createCell({
    points,
    traffic: { kind: 'workload', workload },
    length: { requests: REQUESTS },
    slaP99Ms: 4 * createCurve(points).latencyMs(16),
    interference: 0.7,
    seed: 1,
  });
  const [batchSize, delayRatio, concurrency] = setting;
  const each = settings(batchSize, delayRatio, concurrency, cell.slaMs);
  const runner = new ConstantRunner(cell);
  const version = { settings: each, generation: 1, source: 'start' } as const;
  const count = cell.arrivalsMs.length;
  return {
    name,
    replayRequestsPerS: Math.round(count / cpuS(() => void runner.run([{ atMs: 0, settings: each }]))),
    laneRequestsPerS: Math.round(count / cpuS(() => void runWorld({ cell, version: () => version }))),
  };
});

const workload = parseWorkload('sine:40%..90%/10');
if (isIssue(workload)) throw new Error(workload.expected);
const cell = createCell({
  points,
  traffic: { kind: 'workload', workload },
  length: { requests: 30_000 },
  slaP99Ms: 4 * createCurve(points).latencyMs(16),
  interference: 0.7,
  seed: 1,
});
const planner = new Planner();
const decisionsMs: number[] = [];
for (let run = 0; run < 3; run++)
  runAgent({
    cell,
    policy: toCellPolicy(cell, 'balanced'),
    decider: {
      name: planner.name,
      decide(model, context) {
        const before = process.cpuUsage();
        const decision = planner.decide(model, context);
        const { user, system } = process.cpuUsage(before);
        decisionsMs.push((user + system) / 1000);
        return decision;
      },
    },
  });
decisionsMs.sort((a, b) => a - b);
const at = (q: number): number => Number(decisionsMs[Math.floor(q * (decisionsMs.length - 1))]!.toFixed(2));
console.log(
  JSON.stringify(
    {
      question: 'requests simulated per second of processor time; processor time of a decision of the planner',
      machine: `${cpus().length} x ${cpus()[0]?.model}`,
      node: process.version,
      runs: RUNS,
      requests: REQUESTS,
      results,
      plannerDecisionMs: { count: decisionsMs.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) },
    },
    null,
    1,
  ),
);
