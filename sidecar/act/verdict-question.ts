// One question of a trial's verdict: is this quantity higher under the candidate than lot and load explain?
import { Evidence } from './sequential.ts';
import { mean, type Measured, SliceNoise, toRobustSpread } from './sequential-noise.ts';
import { toT } from './sequential-quantile.ts';

/** Slices among which lots were drawn, the load's part taken out. */
export interface Drawn {
  readonly values: readonly number[];
  readonly isCandidate: readonly boolean[];
  readonly spread: number;
  /** Mean of the candidate's less mean of the baseline's, over the whole block. */
  readonly shift: number;
}

/** Also looked for, in spreads of a slice: where slices differ wildly, harm must be great to be harm. */
const GREAT_SHIFT = 3;
/** The level is that of so many newest slices of the baseline. */
const LEVEL_SLICES = 30;

/** One quantity, lower is better: its spread, the level of the baseline, and the evidence against the candidate. */
export class Question {
  readonly #shifts: readonly number[];
  readonly #least: number;
  readonly #noise: SliceNoise;
  readonly #evidence: Evidence;
  /** Baseline's newest slices. */
  #level: Measured[] = [];

  constructor(shifts: readonly number[], least: number) {
    this.#shifts = shifts;
    this.#least = least;
    this.#noise = new SliceNoise(least);
    this.#evidence = new Evidence(shifts.length + 1);
  }

  get log(): number {
    return this.#evidence.log;
  }

  learn(slices: readonly Measured[]): void {
    this.#noise.add(slices);
    this.#level = [...this.#level, ...slices].slice(-LEVEL_SLICES);
  }

  compare(slices: readonly Measured[], isCandidate: readonly boolean[], isDrawn: readonly boolean[]): Drawn {
    const adjusted = slices.map((slice) => this.#noise.adjust(slice));
    const values = adjusted.filter((_, index) => isDrawn[index]);
    const isOwn = isCandidate.filter((_, index) => isDrawn[index]);
    const spread = this.#noise.isKnown ? this.#noise.spread : toRobustSpread(values, 2 * this.#least);
    const tilts = [...this.#shifts.map((shift) => shift / spread ** 2), GREAT_SHIFT / spread];
    this.#evidence.add(values, isOwn, tilts);
    const of = (arm: boolean): number => mean(adjusted.filter((_, index) => isCandidate[index] === arm));
    const shift = of(true) - of(false);
    // Only now: what is learnt of this block may weigh the next one.
    this.#noise.add(slices.filter((_, index) => isCandidate[index] === true));
    this.learn(slices.filter((_, index) => isCandidate[index] !== true));
    return { values, isCandidate: isOwn, spread, shift };
  }

  /**
   * By how much slices are above the baseline's level; null when that is within chance, or too little is known. Of a slice
   * that is only partly over (`part` of it) the noise is larger.
   */
  excess(slices: readonly Measured[], chance: number, part = 1): number | null {
    if (!this.#noise.isKnown || this.#level.length < 3 || slices.length === 0) return null;
    const levels = this.#level.map((one) => this.#noise.adjust(one));
    const shift = mean(slices.map((slice) => this.#noise.adjust(slice))) - mean(levels);
    const error = Math.sqrt(1 / (part * slices.length) + 1 / levels.length);
    const normal = toT(chance, this.#noise.freedom) * this.#noise.spread;
    return shift > error * Math.max(normal, toTailBound(levels, chance)) ? shift : null;
  }
}

/** The upper quarter stands for the tail. */
const TAIL_SHARE = 0.25;

/**
 * How far above the mean a single slice is with this chance if the tail falls exponentially from the upper quartile on
 * (peaks over threshold: J. Pickands, Annals of Statistics 3, 1975, with shape 0). A busy period makes a slice late
 * more often than the normal law has it: measured, 3-4 standard deviations in one slice of 200.
 */
function toTailBound(values: readonly number[], chance: number): number {
  const sorted = values.toSorted((a, b) => b - a);
  const above = Math.max(1, Math.floor(TAIL_SHARE * sorted.length));
  const threshold = sorted[above] ?? 0;
  const excess = mean(sorted.slice(0, above)) - threshold;
  return threshold - mean(values) + excess * Math.log(above / sorted.length / chance);
}
