// The engine as it shows itself: latency curve and interference, fitted together online, with their doubt.
import type { BatchSample } from '../core/snapshot.ts';
import { type SharingLaw, toAloneWork } from './alone-work.ts';
import { type EngineModel, MODEL_ITEMS, toEngineModel } from './engine-model.ts';
import { KnotFilter } from './knot-filter.ts';

/** A belief at one instant. */
export interface EngineBelief {
  readonly model: EngineModel;
  /** Standard deviation of kappa. */
  readonly interferenceDeviation: number;
  /** Standard deviation of a call's duration relative to what is believed. */
  readonly noiseRatio: number;
  /** Standard deviation of L(items) relative to itself. */
  errorRatio(items: number): number;
  /** The same engine with another kappa, and the curve that goes with it: kappa `deviations` off its mean. */
  withInterference(deviations: number): EngineModel;
}

/** Hypotheses of kappa. The engine model's default is 0.7; what few devices do is believed less. */
const INTERFERENCES = [0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05, 1.2];
const PRIOR_INTERFERENCE = 0.7;
/**
 * And of the peak, which may lie at sizes that nobody has sent: what the curve promises up to 64 items (null), or so many times
 * the peak of the sizes seen; with their weights beforehand.
 */
const PEAKS: readonly (readonly [factor: number | null, weight: number])[] = [
  [null, 0.7],
  [1, 0.15],
  [1.25, 0.15],
];
/** From this size on the peak is taken as seen. */
const PEAK_SEEN_ITEMS = 48;
const PRIOR_DEVIATION = 0.35;
/** Evidence is tempered: calls that run together err together. */
const TEMPER = 0.5;
/** The scatter of calls of one size counts like that of so many, however many there are. */
const SCATTER_CALLS = 20;
/** Kept of the evidence per window: neighbours come and go. */
const KEEP_EVIDENCE = 0.97;
/** Between knots the curve is off by so much, ln. */
const SHAPE_VARIANCE = 0.02 ** 2;
/** What may change in ten seconds, ln. */
const LEVEL_DRIFT_VARIANCE = 0.006 ** 2;
const KNOT_DRIFT_VARIANCE = 0.006 ** 2;
const DRIFT_MS = 10_000;
const FIRST_NOISE = 0.06;
const NOISE_MIN = 0.02;
const NOISE_STEP = 0.2;
/** A call off by more standard deviations than this says no more than one off by so many: an outlier. */
const OUTLIER = 4;
/** A common shift of all sizes by this much, ln, and so many standard deviations is another engine, not noise. */
const SHIFT = 0.12;
const SHIFT_DEVIATIONS = 5;
const SHIFT_VARIANCE = 0.4 ** 2;
/** A kappa believed less than this is not asked. */
const PLAUSIBLE_WEIGHT = 0.01;
/** Calls kept for the overlaps with those to come. */
const KEPT = 768;

interface Hypothesis extends SharingLaw {
  /** The peak over that of the sizes seen; null: where the curve has it. */
  readonly peakFactor: number | null;
  readonly filter: KnotFilter;
  /** ln of the weight that it had before anything was seen, and of what has been seen since; not normalised. */
  readonly prior: number;
  evidence: number;
  peakItemsPerMs: number;
}

/**
 * The circle: congested durations tell of the curve only through kappa, and of kappa only through the curve. It is cut by
 * keeping a curve for each of nine kappas and three peaks, each fed with durations freed by its own law; the one whose curve
 * explains calls alone and together at once gains weight, w_j ~ exp(sum of ln N(surprise; 0, S)) (a bank of Kalman filters,
 * Magill 1965). The belief is the weighted mean. Before any overlap the weights are the prior and the deviation of kappa says
 * so. A peak found below what the curve promises for sizes never seen corrects the curve there: L(n) >= n / peak.
 */
export class EngineFit {
  readonly #hypotheses: readonly Hypothesis[] = INTERFERENCES.flatMap((interference) =>
    PEAKS.map(([factor, weight]) => createHypothesis(interference, factor, weight)),
  );
  #seenItems = 1;
  #samples: BatchSample[] = [];
  /** End of the last call taken in. */
  #usedMs = -Infinity;
  #learntMs = -Infinity;
  #noise = FIRST_NOISE;
  #shifts = 0;
  #calls = 0;

  /** Times that the engine was found to be another. */
  get shifts(): number {
    return this.#shifts;
  }

  /** Takes in the calls that ended since the last time; `inflight` run on at `nowMs`. */
  observe(samples: readonly BatchSample[], inflight: number, nowMs: number): void {
    const fresh = samples.filter((sample) => sample.durationMs > 0);
    this.#samples = [...this.#samples, ...fresh].slice(-KEPT).sort((a, b) => a.startedMs - b.startedMs);
    const isShared = this.#samples.some((sample) => sample.inflight > 1);
    // A call still running may have met those that ended lately, and will only then be known.
    const longestMs = this.#samples.reduce((most, sample) => Math.max(most, sample.durationMs), 0);
    const untilMs = isShared && inflight > 0 ? nowMs - longestMs : nowMs;
    // Of the first calls kept the company is not known.
    const fromMs = isShared && this.#samples.length === KEPT ? this.#samples[0]!.startedMs + longestMs : -Infinity;
    const isTarget = ({ startedMs, durationMs }: BatchSample): boolean =>
      startedMs + durationMs > this.#usedMs && startedMs + durationMs <= untilMs && startedMs >= fromMs;
    const first = this.#samples.find(isTarget);
    if (first === undefined) return;
    // Whoever ended before the first of them began has met none of them.
    const calls = this.#samples.filter((sample) => sample.startedMs + sample.durationMs > first.startedMs);
    const targets = [...calls.keys()].filter((at) => isTarget(calls[at]!));
    this.#usedMs = untilMs;
    this.#calls += targets.length;
    for (const at of targets) this.#seenItems = Math.max(this.#seenItems, calls[at]!.items);
    const passed = Math.min(1, Math.max(0, nowMs - this.#learntMs) / DRIFT_MS);
    this.#learntMs = nowMs;
    for (const { filter } of this.#hypotheses)
      filter.drift(passed * LEVEL_DRIFT_VARIANCE, passed * KNOT_DRIFT_VARIANCE);
    const logs = toAloneWork(calls, this.#hypotheses).map((workMs) => Math.log(Math.max(1e-6, workMs)));
    const groups = [...Map.groupBy(targets, (at) => calls[at]!.items)];
    this.#watchShift(logs, groups);
    for (const [index, hypothesis] of this.#hypotheses.entries()) this.#learn(hypothesis, index, logs, groups);
    this.#learnNoise(logs, groups);
  }

  /** Null before the first call. */
  belief(): EngineBelief | null {
    if (this.#calls === 0) return null;
    const weights = this.#weights();
    const mean = this.#mean(weights, (hypothesis) => hypothesis.interference);
    const deviation = Math.sqrt(
      this.#mean(weights, (hypothesis) => (hypothesis.interference - mean) ** 2) + (0.15 * 0.15) / 12,
    );
    const toModel = (interference: number, near: readonly number[]): EngineModel => {
      const peakItemsPerMs = Math.exp(this.#mean(near, (hypothesis) => Math.log(hypothesis.peakItemsPerMs)));
      const latencyMs = (items: number): number =>
        Math.exp(
          this.#mean(near, (hypothesis) =>
            Math.max(Math.log(items / hypothesis.peakItemsPerMs), hypothesis.filter.logLatency(items)),
          ),
        );
      return { ...toEngineModel(latencyMs, interference), peakItemsPerMs };
    };
    const variance = (items: number): number => {
      const log = this.#mean(weights, ({ filter }) => filter.logLatency(items));
      return this.#mean(weights, ({ filter }) => filter.variance(items) + (filter.logLatency(items) - log) ** 2);
    };
    return {
      model: toModel(mean, weights),
      interferenceDeviation: deviation,
      noiseRatio: this.#noise,
      errorRatio: (items) => Math.sqrt(variance(items)),
      withInterference: (deviations) => {
        const interference = Math.max(0, mean + deviations * deviation);
        const near = weights.map(
          (weight, index) =>
            (weight + 1e-9) * Math.exp(-(((this.#hypotheses[index]!.interference - interference) / 0.15) ** 2)),
        );
        const sum = near.reduce((total, weight) => total + weight, 0);
        return toModel(
          interference,
          near.map((weight) => weight / sum),
        );
      },
    };
  }

  #weights(): readonly number[] {
    const most = Math.max(...this.#hypotheses.map(({ evidence }) => evidence));
    const weights = this.#hypotheses.map(({ evidence, prior }) => Math.exp(evidence + prior - most));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }

  #mean(weights: readonly number[], of: (hypothesis: Hypothesis) => number): number {
    return this.#hypotheses.reduce((sum, hypothesis, index) => {
      // A hypothesis that nothing speaks for is not worth a table.
      return weights[index]! < 1e-6 ? sum : sum + weights[index]! * of(hypothesis);
    }, 0);
  }

  #learn(hypothesis: Hypothesis, index: number, logs: Float64Array, groups: Groups): void {
    const { filter } = hypothesis;
    let scatter = 0;
    let calls = 0;
    let evidence = 0;
    const noise = this.#noise ** 2;
    for (const [items, members] of groups) {
      const values = members.map((at) => logs[at * this.#hypotheses.length + index]!);
      const mean = values.reduce((sum, log) => sum + log, 0) / values.length;
      for (const log of values) scatter -= Math.min(OUTLIER ** 2, (log - mean) ** 2 / noise) / 2;
      calls += values.length;
      const variance = noise / values.length + SHAPE_VARIANCE;
      const total = filter.variance(items) + variance;
      const surprise = (mean - filter.logLatency(items)) ** 2 / total;
      evidence -= (Math.min(OUTLIER ** 2, surprise) + Math.log(total)) / 2;
      filter.observe(items, mean, variance);
    }
    // Where calls fill the device, kappa hardly shows, and a small error in d(n) would speak through hundreds of calls.
    evidence += scatter * Math.min(1, SCATTER_CALLS / calls);
    hypothesis.evidence = KEEP_EVIDENCE * hypothesis.evidence + TEMPER * evidence;
    this.#learnPeak(hypothesis);
  }

  #learnPeak(hypothesis: Hypothesis): void {
    const { filter, peakFactor } = hypothesis;
    const isSeen = this.#seenItems >= PEAK_SEEN_ITEMS;
    const most = peakFactor === null || isSeen ? MODEL_ITEMS : Math.min(MODEL_ITEMS, this.#seenItems);
    const table = filter.table();
    let peakItemsPerMs = 0;
    for (let items = 1; items <= most; items++) peakItemsPerMs = Math.max(peakItemsPerMs, items / table[items]!);
    hypothesis.peakItemsPerMs = peakItemsPerMs * (isSeen ? 1 : (peakFactor ?? 1));
  }

  /**
   * All sizes slower or faster at once: the level is let go, so that the new one is learnt in a window. Only if no kappa
   * that is believed at all explains it: the first overlap looks like a shift to every wrong one.
   */
  #watchShift(logs: Float64Array, groups: Groups): void {
    const weights = this.#weights();
    for (const [index, { filter }] of this.#hypotheses.entries()) {
      if (weights[index]! < PLAUSIBLE_WEIGHT) continue;
      let sum = 0;
      let precision = 0;
      for (const [items, members] of groups) {
        const mean =
          members.reduce((total, at) => total + logs[at * this.#hypotheses.length + index]!, 0) / members.length;
        const variance = filter.variance(items) + this.#noise ** 2 / members.length + SHAPE_VARIANCE;
        sum += (mean - filter.logLatency(items)) / variance;
        precision += 1 / variance;
      }
      const shift = Math.abs(sum / precision);
      if (shift < SHIFT || shift * Math.sqrt(precision) < SHIFT_DEVIATIONS) return;
    }
    this.#shifts++;
    for (const hypothesis of this.#hypotheses) hypothesis.filter.drift(SHIFT_VARIANCE, 0);
  }

  #learnNoise(logs: Float64Array, groups: Groups): void {
    const weights = this.#weights();
    const index = weights.indexOf(Math.max(...weights));
    let squares = 0;
    let freedom = 0;
    for (const [, members] of groups) {
      if (members.length < 2) continue;
      const values = members.map((at) => logs[at * this.#hypotheses.length + index]!);
      const mean = values.reduce((sum, log) => sum + log, 0) / values.length;
      squares += values.reduce((sum, log) => sum + Math.min((OUTLIER * this.#noise) ** 2, (log - mean) ** 2), 0);
      freedom += values.length - 1;
    }
    if (freedom < 10) return;
    this.#noise = Math.max(NOISE_MIN, this.#noise + NOISE_STEP * (Math.sqrt(squares / freedom) - this.#noise));
  }
}

type Groups = readonly (readonly [items: number, members: readonly number[]])[];

function createHypothesis(interference: number, peakFactor: number | null, weight: number): Hypothesis {
  const filter = new KnotFilter();
  return {
    interference,
    peakFactor,
    filter,
    prior: Math.log(weight) - (interference - PRIOR_INTERFERENCE) ** 2 / (2 * PRIOR_DEVIATION ** 2),
    evidence: 0,
    peakItemsPerMs: 0,
    demand(items) {
      if (this.peakItemsPerMs === 0) return 1;
      const latencyMs = filter.table()[items] ?? (filter.table()[MODEL_ITEMS]! * items) / MODEL_ITEMS;
      return Math.min(1, items / latencyMs / this.peakItemsPerMs);
    },
  };
}
