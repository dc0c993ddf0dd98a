// What a trial is worth: how often it rolls back what is harmless, how soon it finds what is not, and whether its figures
// are those of the candidate in force. All in virtual time, with the real lane, windows, applier and switchback.
//
//     node test/bench/trial.ts harmless [trials] | shift work|wait RATIO [trials] | bad [settings] | figures     JSON on stdout
import { cpus } from 'node:os';
import { drawBlock, toBlockShape, toPace, toSlicePlan } from '../../sidecar/act/trial-blocks.ts';
import { ArmTotals } from '../../sidecar/act/trial-figures.ts';
import type { LatencyCurve } from '../../sidecar/lab/profiles.ts';
import { DEFAULT_POLICY, type Mode, type Policy } from '../../src/core/policy.ts';
import type { Prediction } from '../../src/core/proposal.ts';
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Slice } from '../../src/core/trial.ts';
import { createSwitchback } from '../../sidecar/proxy/trial.ts';
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

/** How long p99 is with so much of the shift's means; at 0 as without. */
type P99Of = (amount: number) => number;

/** How much of the means makes p99 `ratio` times what it was: between nothing and `most`, by halving. */
function findAmount(p99Of: P99Of, ratio: number, most: number): number {
  const wantedMs = ratio * p99Of(0);
  let [low, high] = [0, most];
  for (let step = 0; step < 8; step++) {
    const middle = (low + high) / 2;
    if (p99Of(middle) < wantedMs) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
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
  let blockEndMs = 0;
  let blocks = -1;
  const isOver = (): boolean => {
    const status = rig.status();
    if (status !== null && status.blocks !== blocks) {
      blocks = status.blocks;
      blockEndMs = rig.nowMs + 10 * status.sliceMs;
    }
    return rig.last('rolled_back', 'withdrawn', 'proven') !== null;
  };
  rig.run(BEFORE_MS + 1_200_000, isOver);
  const end = rig.last('rolled_back', 'withdrawn', 'proven');
  const atMs = rig.nowMs;
  const applied = rig.entries.find(({ result }) => result === 'applied');
  // The rest of the block in which it ended is the baseline's.
  if (applied === undefined) rig.run(Math.max(atMs, blockEndMs));
  return {
    verdict: (end?.result ?? 'open') as Outcome['verdict'],
    afterS: (atMs - BEFORE_MS) / 1000,
    stage: applied === undefined ? `stage ${end?.trial?.stage ?? 0}` : 'watch',
    reason: end?.reason ?? '',
    touchedRatio: rig.touched / Math.max(1, rig.arrived - arrivedBefore),
  };
}

function harmless(trials: number): unknown {
  return forCells((curve, cell) => {
    const outcomes = toSeeds(Math.ceil(trials / SHAPES.length)).map((seed) =>
      runTrial(
        { curve, ratePerS: RATE_PER_S, policy: toPolicy(seed % 2 === 0 ? 'balanced' : 'performance'), seed },
        SAME,
      ),
    );
    return { ...cell, ...summarise(outcomes) };
  });
}

/** By `work`: the device is slower for the candidate. By `wait`: the candidate waits for company, which is felt at once. */
function shift(means: 'work' | 'wait', ratio: number, trials: number): unknown {
  return forCells((curve, cell) => {
    const policy = {
      ...toPolicy('performance'),
      bounds: { ...DEFAULT_POLICY.bounds, batchDelayMs: [0, 1e6] as const },
    };
    const options = { curve, ratePerS: RATE_PER_S, policy, seed: 99 };
    const toRun = (amount: number): readonly [Partial<TrialRigOptions>, Settings] =>
      means === 'work'
        ? [{ candidateCurve: slower(curve, 1 + amount) }, SAME]
        : [{}, { ...SAME, batchDelayMs: amount }];
    const p99Of: P99Of = (amount) => {
      const [{ candidateCurve = curve }, settings] = toRun(amount);
      return runWhole({ ...options, curve: candidateCurve }, settings, 600_000).p99Ms;
    };
    const most = means === 'work' ? ratio - 1 : 2 * ratio * p99Of(0);
    const amount = findAmount(p99Of, ratio, most);
    const [more, candidate] = toRun(amount);
    const outcomes = toSeeds(Math.ceil(trials / SHAPES.length)).map((seed) =>
      runTrial({ ...options, ...more, seed }, candidate),
    );
    const within = (s: number): number =>
      outcomes.filter(({ verdict, afterS }) => verdict === 'rolled_back' && afterS <= s).length / outcomes.length;
    return { ...cell, amount, within10S: within(10), within60S: within(60), ...summarise(outcomes) };
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
    ...(process.env['ALL'] ? { outcomes } : {}),
  };
}

/** Blocks of the first stage one after the other, without a verdict: what the candidate's slices come to. */
function runSlices(options: Omit<TrialRigOptions, 'start'>, candidate: Settings, durationMs: number): Prediction {
  const player = createSwitchback(0);
  const random = createRandom(options.seed);
  const totals = new ArmTotals();
  const seen: Slice[] = [];
  const shape = toBlockShape(0.1);
  const limits = { sliceMsMin: 1000, sliceMsMax: 60_000, minBatches: 20, delayMs: candidate.batchDelayMs };
  let left = 0;
  const rig = new TrialRig({
    ...options,
    start: START,
    always: (nowMs) => (player.armAt(nowMs) === 'candidate' ? candidate : START),
    witness: {
      arrived: (...args) => player.arrived(...args),
      completed: (completion) => player.completed(completion),
      batchStarted: (...args) => player.batchStarted(...args),
      batchCompleted: (batch) => player.batchCompleted(batch),
      look(nowMs) {
        const slices = player.take(nowMs).filter(({ isCut }) => !isCut);
        left -= slices.length;
        seen.push(...slices);
        for (const slice of slices) if (slice.arm === 'candidate') totals.add(slice);
        if (nowMs < 20_000 || left > 0) return;
        const of = (arm: Slice['arm']) => toPace(seen.filter((slice) => slice.arm === arm).slice(-40));
        const plan = toSlicePlan(of('baseline'), of('candidate'), limits);
        player.play(plan, drawBlock(shape, 0, random).arms, nowMs);
        left = shape.slices;
      },
    },
  });
  rig.run(durationMs);
  return totals.measured(null) ?? { p99Ms: NaN, gpuSecondsPer1k: NaN };
}

interface FigureRow {
  readonly id: string;
  readonly load: number;
  readonly p99Ms: number;
  readonly baselineP99: number;
  readonly sliceP99: number;
  readonly sliceCost: number;
  readonly laneP99: number;
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
      const policy: Policy = { ...base, bounds: { ...base.bounds, batchDelayMs: [0, 1e6] } };
      const options = { curve, ratePerS, policy, seed: 7 + index };
      const whole = runWhole({ ...options, seed: 1007 + index }, candidate, 600_000);
      const tried = runSlices(options, candidate, 1_500_000);
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
        sliceP99: tried.p99Ms / whole.p99Ms - 1,
        sliceCost: tried.gpuSecondsPer1k / whole.gpuSecondsPer1k - 1,
        laneP99: lane.p99Ms / whole.p99Ms - 1,
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

function forCells(run: (curve: LatencyCurve, cell: { id: string; load: number }) => object): unknown {
  const cells = LOADS.flatMap((load) =>
    SHAPES.map(({ id, points }) => run(toScaledCurve(points, RATE_PER_S / load), { id, load })),
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
  shift: () => shift(rest[0] === 'wait' ? 'wait' : 'work', Number(rest[1] ?? 1.2), Number(rest[2] ?? 200)),
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
