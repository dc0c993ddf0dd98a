// How a stage's share of time becomes blocks of slices, and how long a slice must be.
import type { Random } from '../../src/core/random.ts';
import type { Arm, Slice, SlicePlan } from '../../src/core/trial.ts';

/** `candidates` of `slices` run the candidate. */
export interface BlockShape {
  readonly slices: number;
  readonly candidates: number;
}

/** A block to be played. `isDrawn`: the slices among which lots were drawn. */
export interface Block {
  readonly arms: readonly Arm[];
  readonly isDrawn: readonly boolean[];
}

/** Fewer slices give too few ways to draw them, so that a block says too little. */
const SLICES_MIN = 4;
const SLICES_MAX = 100;
/** A block may fall so much short of the stage's share. */
const SHARE_SHORTFALL = 0.2;

/** The smallest block whose candidates are the stage's share of it, or a little less: 1 of 10, 2 of 4. */
export function toBlockShape(share: number): BlockShape {
  for (let slices = SLICES_MIN; slices < SLICES_MAX; slices++) {
    // A hair more, as 0.1 x 10 need not be 1.
    const candidates = Math.floor(share * slices + 1e-9);
    if (candidates >= 1 && candidates < slices && candidates >= (1 - SHARE_SHORTFALL) * share * slices)
      return { slices, candidates };
  }
  return { slices: SLICES_MAX, candidates: Math.min(SLICES_MAX - 1, Math.max(1, Math.floor(share * SLICES_MAX))) };
}

/** The first `lead` slices are the baseline's, the rest are drawn, every draw as likely as the others. */
export function drawBlock({ slices, candidates }: BlockShape, lead: number, random: Random): Block {
  const led = Math.min(lead, slices - candidates - 1);
  const arms: Arm[] = Array.from({ length: slices }, () => 'baseline');
  const free = Array.from({ length: slices - led }, (_, index) => led + index);
  for (let left = candidates; left > 0; left--) {
    const [position = led] = free.splice(random.int(free.length), 1);
    arms[position] = 'candidate';
  }
  return { arms, isDrawn: arms.map((_, index) => index >= led) };
}

/** What is known of an arm's slices. Null: nothing yet. */
export interface Pace {
  readonly batchesPerS: number;
  readonly p99Ms: number;
}

export function toPace(slices: readonly Pick<Slice, 'batches' | 'durationMs' | 'latency'>[]): Pace | null {
  let batches = 0;
  let durationMs = 0;
  let sumMs = 0;
  let answered = 0;
  for (const slice of slices) {
    batches += slice.batches;
    durationMs += slice.durationMs;
    const p99Ms = slice.latency.quantileMs(0.99);
    if (p99Ms === null) continue;
    sumMs += p99Ms;
    answered += 1;
  }
  if (durationMs === 0 || answered === 0) return null;
  return { batchesPerS: (1000 * batches) / durationMs, p99Ms: sumMs / answered };
}

/** Slices are so many times as long as what is cut off at each end. */
const SLICE_PER_TRIM = 4;
/** A candidate gone slow must not make the slices longer without end. */
const SLOW_MAX = 3;
/** While nothing has been measured, ms. */
const UNKNOWN_TRIM_MS = 100;

export interface PlanLimits {
  /** 1,000 in real time, ms. */
  readonly sliceMsMin: number;
  readonly sliceMsMax: number;
  readonly minBatches: number;
  /** The longer of the two arms' delays, ms. */
  readonly delayMs: number;
}

/**
 * At least `sliceMsMin`, `minBatches` batches of the arm that makes fewer, and four times the trim. The trim is the p99
 * (so long what arrived before a slice is still about) and at least the delay; then the first batch falls into it too.
 */
export function toSlicePlan(baseline: Pace | null, candidate: Pace | null, limits: PlanLimits): SlicePlan {
  const { sliceMsMin, sliceMsMax, minBatches, delayMs } = limits;
  const baseMs = baseline?.p99Ms ?? UNKNOWN_TRIM_MS;
  const trimMs = Math.max(delayMs, Math.min(Math.max(baseMs, candidate?.p99Ms ?? 0), SLOW_MAX * baseMs + delayMs));
  const paces = [baseline, candidate].flatMap((pace) => (pace === null ? [] : [pace.batchesPerS]));
  const slowest = Math.min(...paces);
  const batchesMs = paces.length === 0 ? 0 : (1000 * minBatches) / Math.max(1e-3, slowest);
  const sliceMs = Math.min(sliceMsMax, Math.max(sliceMsMin, batchesMs, SLICE_PER_TRIM * trimMs));
  return { sliceMs, trimMs: Math.min(trimMs, sliceMs / SLICE_PER_TRIM), graceMs: sliceMs };
}
