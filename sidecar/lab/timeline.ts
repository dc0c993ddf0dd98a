// How a run is cut for scoring: its stretches, the warm-up, and the interval that is excused after a jump.

/** A piece is scored with its stretch, or apart. */
export type PieceKind = 'scored' | 'warm-up' | 'excused';

/** One piece of the run, whole: it lies in one stretch and is of one kind. Times in ms of the run. */
export interface Piece {
  readonly fromMs: number;
  /** Infinity for the last: what is answered after the last arrival belongs to it. */
  readonly toMs: number;
  /** Index into the stretches. */
  readonly stretch: number;
  readonly kind: PieceKind;
}

export interface TimelineOptions {
  /** Ascending, first 0. */
  readonly stretchStartsMs: readonly number[];
  /** Moments at which the load jumps. */
  readonly jumpsMs: readonly number[];
  readonly intervalMs: number;
  readonly durationMs: number;
}

/** The first three intervals are scored apart: nobody can know the engine before. */
const WARM_UP_INTERVALS = 3;

/** The pieces in order, without gaps, from 0 to Infinity. What is both warm-up and excused counts as warm-up. */
export function toTimeline(options: TimelineOptions): readonly Piece[] {
  const { stretchStartsMs, jumpsMs, intervalMs, durationMs } = options;
  const warmMs = WARM_UP_INTERVALS * intervalMs;
  const cuts = new Set([0, warmMs, ...stretchStartsMs]);
  for (const jumpMs of jumpsMs) {
    cuts.add(jumpMs);
    cuts.add(jumpMs + intervalMs);
  }
  const starts = [...cuts].filter((cutMs) => cutMs < durationMs).toSorted((a, b) => a - b);
  const pieces: Piece[] = [];
  let stretch = 0;
  for (const [index, fromMs] of starts.entries()) {
    while (fromMs >= (stretchStartsMs[stretch + 1] ?? Infinity)) stretch++;
    const isExcused = jumpsMs.some((jumpMs) => fromMs >= jumpMs && fromMs < jumpMs + intervalMs);
    const kind: PieceKind = fromMs < warmMs ? 'warm-up' : isExcused ? 'excused' : 'scored';
    pieces.push({ fromMs, toMs: starts[index + 1] ?? Infinity, stretch, kind });
  }
  return pieces;
}

/** Where a run reads the device's busy clock: the ends of all pieces but the last. */
export function toCutsMs(pieces: readonly Piece[]): readonly number[] {
  return pieces.slice(0, -1).map((piece) => piece.toMs);
}
