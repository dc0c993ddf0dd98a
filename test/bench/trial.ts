// What a trial is worth: how often it rolls back what is harmless, how soon it finds what is not, and whether its figures
// are those of the candidate in force. All in virtual time, with the real lane, windows, applier and switchback.
//
//     node test/bench/trial.ts harmless [trials] | shift RATIO [trials] | bad [settings] | figures     JSON on stdout
import { cpus } from 'node:os';
import type { LatencyCurve } from '../../sidecar/lab/profiles.ts';
import { DEFAULT_POLICY, type Mode, type Policy } from '../../src/core/policy.ts';
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import { PROFILES, toScaledCurve } from '../support/lab-cell.ts';
import { runHashLanes } from '../support/hash-lanes.ts';
import { TrialRig, type TrialRigOptions } from '../support/trial-rig.ts';

const LOADS = [0.3, 0.6, 0.85];
/** Spread over the file: of each its own shape, all scaled so that the load is met at the rate asked for. */
const SHAPES = [0, 20, 40, 60, 80, 100].map((index) => PROFILES[index]!);
const START: Settings = { batchSize: 64, batchDelayMs: 0, concurrency: 1, switches: {} };
/** Differs from the start in nothing that is ever reached at these loads. */
const SAME: Settings = { ...START, batchSize: 63 };
/** The agent has run for so long before anything is tried. */
const BEFORE_MS = 40_000;
const RATE_PER_S = 100;

function toPolicy(mode: Mode, slaP99Ms?: number): Policy {
  return { ...DEFAULT_POLICY, mode, sla: { errorRate: 0.01, ...(slaP99Ms === undefined ? {} : { p99Ms: slaP99Ms }) } };
}

/** The same device, so many times slower; its shares stay as they are. */
function slower(curve: LatencyCurve, factor: number): LatencyCurve {
  return { ...curve, latencyMs: (items) => factor * curve.latencyMs(items), demand: (items) => curve.demand(items) };
}

/** Every batch under these settings for so long, the first tenth left out. */
function runWhole(options: Omit<TrialRigOptions, 'start'>, settings: Settings, durationMs: number) {
  const rig = new TrialRig({ ...options, start: settings, always: settings });
  rig.run(durationMs / 10);
  const busyMs = rig.busyMs;
  rig.run(durationMs);
  const latencies = rig.served.filter(({ arrivedMs }) => arrivedMs > durationMs / 10).map(({ latencyMs }) => latencyMs);
  latencies.sort((a, b) => a - b);
  const p99Ms = latencies[Math.ceil(0.99 * latencies.length) - 1] ?? Infinity;
  return {
    p99Ms,
    gpuSecondsPer1k: (rig.busyMs - busyMs) / latencies.length,
    lost: 1 - rig.served.length / rig.arrived,
  };
}

/** How much slower the device must be for p99 to be `ratio` times what it was. */
function findFactor(curve: LatencyCurve, ratio: number): number {
  const p99Of = (factor: number): number =>
    runWhole(
      { curve: slower(curve, factor), ratePerS: RATE_PER_S, policy: toPolicy('performance'), seed: 99 },
      START,
      600_000,
    ).p99Ms;
  const wantedMs = ratio * p99Of(1);
  let [low, high] = [1, ratio];
  for (let step = 0; step < 7; step++) {
    const middle = Math.sqrt(low * high);
    if (p99Of(middle) < wantedMs) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

interface Outcome {
  readonly verdict: 'rolled_back' | 'withdrawn' | 'proven' | 'open';
  readonly afterS: number;
  readonly stage: string;
  readonly reason: string;
  readonly touchedRatio: number;
}

/** One trial to its end: rolled back, or in force and proven. `touchedRatio`: of the requests of all blocks begun. */
function runTrial(options: Omit<TrialRigOptions, 'start'>, candidate: Settings): Outcome {
  const rig = new TrialRig({ ...options, start: START });
  rig.run(BEFORE_MS);
  const arrivedBefore = rig.arrived;
  rig.put(candidate);
  let arrivedInBlocks = 0;
  const isOver = (): boolean => rig.last('rolled_back', 'withdrawn', 'proven') !== null;
  rig.run(BEFORE_MS + 1_200_000, isOver);
  const end = rig.last('rolled_back', 'withdrawn', 'proven');
  const atMs = rig.nowMs;
  const applied = rig.entries.find(({ result }) => result === 'applied');
  // The rest of the block in which it ended is the baseline's.
  if (applied === undefined) rig.run(Math.max(atMs, BEFORE_MS + 10_000));
  arrivedInBlocks = rig.arrived - arrivedBefore;
  return {
    verdict: (end?.result ?? 'open') as Outcome['verdict'],
    afterS: (atMs - BEFORE_MS) / 1000,
    stage: applied === undefined ? `stage ${end?.trial?.stage ?? 0}` : 'watch',
    reason: end?.reason ?? '',
    touchedRatio: rig.touched / Math.max(1, arrivedInBlocks),
  };
}

function harmless(trials: number): unknown {
  return forCells((curve, _, cell) => {
    const outcomes = toSeeds(Math.ceil(trials / SHAPES.length)).map((seed) =>
      runTrial(
        { curve, ratePerS: RATE_PER_S, policy: toPolicy(seed % 2 === 0 ? 'balanced' : 'performance'), seed },
        SAME,
      ),
    );
    return { ...cell, ...summarise(outcomes) };
  });
}

function shift(ratio: number, trials: number): unknown {
  return forCells((curve, _, cell) => {
    const factor = findFactor(curve, ratio);
    const outcomes = toSeeds(Math.ceil(trials / SHAPES.length)).map((seed) =>
      runTrial(
        { curve, candidateCurve: slower(curve, factor), ratePerS: RATE_PER_S, policy: toPolicy('performance'), seed },
        SAME,
      ),
    );
    const within = (s: number): number =>
      outcomes.filter(({ verdict, afterS }) => verdict === 'rolled_back' && afterS <= s).length / outcomes.length;
    return { ...cell, factor, within10S: within(10), within60S: within(60), ...summarise(outcomes) };
  });
}

/** Settings drawn at random, kept when a full run under them has an objective at least half as high again. */
function bad(count: number): unknown {
  const random = createRandom(2024);
  const outcomes: (Outcome & { readonly candidate: Settings; readonly ratio: number })[] = [];
  for (let seed = 1; outcomes.length < count; seed++) {
    const points = PROFILES[random.int(PROFILES.length)]!.points;
    const load = LOADS[random.int(LOADS.length)]!;
    const curve = toScaledCurve(points, RATE_PER_S / load);
    const options = { curve, ratePerS: RATE_PER_S, policy: toPolicy('performance'), seed };
    const base = runWhole(options, START, 120_000);
    const candidate: Settings = {
      batchSize: [1, 2, 4, 8, 64][random.int(5)]!,
      batchDelayMs: random.next() < 0.5 ? 0 : base.p99Ms * (0.5 + 2 * random.next()),
      concurrency: [1, 1, 4, 16, 64][random.int(5)]!,
      switches: {},
    };
    const policy = { ...options.policy, bounds: { ...options.policy.bounds, batchDelayMs: [0, 1e6] as const } };
    const whole = runWhole({ ...options, policy }, candidate, 120_000);
    const ratio = whole.p99Ms / base.p99Ms;
    if (!(ratio >= 1.5)) continue;
    outcomes.push({ ...runTrial({ ...options, policy }, candidate), candidate, ratio });
  }
  const missed = outcomes.filter(({ verdict }) => verdict !== 'rolled_back');
  return {
    ...summarise(outcomes),
    touchedMax: Math.max(...outcomes.map(({ touchedRatio }) => touchedRatio)),
    touchedMedian: toQuantile(
      outcomes.map(({ touchedRatio }) => touchedRatio),
      0.5,
    ),
    within10S: outcomes.filter(({ afterS }) => afterS <= 10).length,
    within60S: outcomes.filter(({ afterS }) => afterS <= 60).length,
    missed,
  };
}

interface FigureRow {
  readonly id: string;
  readonly load: number;
  readonly p99Ms: number;
  readonly baselineP99: number;
  readonly sliceP99: number;
  readonly sliceCost: number;
  readonly laneP99: number;
  readonly reason: string;
}

/** The candidate's p99 and cost as its slices show them, as a tenth of the requests would, and as they are in force. */
function figures(): unknown {
  const ratePerS = 400;
  const rows: FigureRow[] = [];
  for (const [index, { id, points }] of PROFILES.filter((_, at) => at % 4 === 0)
    .slice(0, 24)
    .entries())
    for (const load of LOADS) {
      const curve = toScaledCurve(points, ratePerS / load);
      const candidate: Settings = { ...START, batchDelayMs: curve.latencyMs(8) };
      const base = toPolicy('performance');
      // A policy that never decides: no worsening is small enough and no evidence strong enough.
      const policy: Policy = {
        ...base,
        bounds: { ...base.bounds, batchDelayMs: [0, 1e6] },
        trial: { stages: [0.1], alpha: 1e-300, minBatches: 20, maxWaitS: 1500 },
        rollback: { ...base.rollback, threshold: -0.999 },
      };
      const options = { curve, ratePerS, policy, seed: 7 + index };
      const rig = new TrialRig({ ...options, start: START });
      rig.run(BEFORE_MS);
      rig.put(candidate);
      rig.run(BEFORE_MS + 1_600_000, () => rig.last('rolled_back', 'withdrawn') !== null);
      const whole = runWhole({ ...options, seed: 1007 + index }, candidate, 600_000);
      const tried = rig.last('rolled_back')?.measured ?? null;
      const lane = runHashLanes({
        curve,
        ratePerS,
        share: 0.1,
        start: START,
        candidate,
        seed: index,
        durationMs: 600_000,
      });
      const baseline = runWhole({ ...options, seed: 2007 + index }, START, 600_000);
      rows.push({
        id,
        load,
        p99Ms: whole.p99Ms,
        baselineP99: whole.p99Ms / baseline.p99Ms,
        sliceP99: (tried?.p99Ms ?? NaN) / whole.p99Ms - 1,
        sliceCost: (tried?.gpuSecondsPer1k ?? NaN) / whole.gpuSecondsPer1k - 1,
        laneP99: lane.p99Ms / whole.p99Ms - 1,
        reason: rig.last('rolled_back', 'withdrawn')?.reason ?? '',
      });
    }
  const spread = (name: 'sliceP99' | 'sliceCost' | 'laneP99') => {
    const errors = rows.map((row) => Math.abs(row[name]));
    return {
      median: toQuantile(errors, 0.5),
      p90: toQuantile(errors, 0.9),
      max: Math.max(...errors),
      within5Percent: errors.filter((error) => error <= 0.05).length,
      of: errors.length,
      meanSigned: rows.reduce((sum, row) => sum + row[name], 0) / rows.length,
    };
  };
  return { sliceP99: spread('sliceP99'), sliceCost: spread('sliceCost'), laneP99: spread('laneP99'), rows };
}

function forCells(run: (curve: LatencyCurve, load: number, cell: { id: string; load: number }) => object): unknown {
  const cells = LOADS.flatMap((load) =>
    SHAPES.map(({ id, points }) => run(toScaledCurve(points, RATE_PER_S / load), load, { id, load })),
  );
  return cells;
}

function summarise(outcomes: readonly Outcome[]): object {
  const rolledBack = outcomes.filter(({ verdict }) => verdict === 'rolled_back');
  const reasons: Record<string, number> = {};
  for (const { stage, reason } of rolledBack) {
    const key = `${stage}: ${/nothing is proven|in one slice|not accepted|SLA|lost|worse/.exec(reason)?.[0] ?? reason}`;
    reasons[key] = (reasons[key] ?? 0) + 1;
  }
  return {
    trials: outcomes.length,
    rolledBack: rolledBack.length,
    proven: outcomes.filter(({ verdict }) => verdict === 'proven').length,
    reasons,
    medianS: toQuantile(
      outcomes.map(({ afterS }) => afterS),
      0.5,
    ),
  };
}

function toSeeds(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function toQuantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? NaN;
}

const [, , question = '', ...rest] = process.argv;
const questions: Record<string, () => unknown> = {
  harmless: () => harmless(Number(rest[0] ?? 1000)),
  shift: () => shift(Number(rest[0] ?? 1.2), Number(rest[1] ?? 200)),
  bad: () => bad(Number(rest[0] ?? 100)),
  figures,
};
const answer = questions[question];
if (answer === undefined) throw new Error(`expected one of ${Object.keys(questions).join(', ')}`);
const startMs = performance.now();
const result = answer();
const machine = { cpu: cpus()[0]?.model, node: process.version };
process.stdout.write(
  `${JSON.stringify({ question, rest, machine, wallS: (performance.now() - startMs) / 1000, result }, null, 1)}\n`,
);
