// Recorded arrivals: the column arrival_s of a CSV, replayed as it was, faster, or from a given moment.
import { MorphlingError } from '../core/errors.ts';
import type { Arrivals } from './arrivals.ts';

/** Tenths of a trace are its stretches. */
const STRETCHES = 10;

/**
 * Times of a CSV with a header that has a column `arrival_s` (seconds; other columns are ignored; CRLF and blank
 * lines are fine). Sorted on return, as recorders write several threads. Throws BAD_CONFIG with the line of the
 * first bad value.
 */
export function parseTrace(csv: string): Float64Array {
  const lines = csv.split(/\r?\n/);
  const header = (lines[0] ?? '').replace(/^\uFEFF/, '').split(',');
  const column = header.findIndex((name) => name.trim() === 'arrival_s');
  if (column < 0)
    throw new MorphlingError(
      'BAD_CONFIG',
      `trace: expected a column arrival_s in the first line, got ${JSON.stringify((lines[0] ?? '').slice(0, 80))}`,
    );
  const times = new Float64Array(lines.length);
  let count = 0;
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (line.trim() === '') continue;
    const cell = (line.split(',')[column] ?? '').trim();
    const atS = Number(cell);
    if (cell === '' || !Number.isFinite(atS) || atS < 0)
      throw new MorphlingError(
        'BAD_CONFIG',
        `trace: line ${index + 1}: expected arrival_s as seconds from 0 up, got ${JSON.stringify(cell)}`,
      );
    times[count++] = atS;
  }
  if (count === 0) throw new MorphlingError('BAD_CONFIG', 'trace: expected at least one arrival, got none');
  return times.slice(0, count).sort();
}

/** Which part of a trace, and how fast. */
export interface ReplayOptions {
  /** Trace seconds replayed per second: 10 plays an hour in six minutes. Default 1. */
  readonly speed?: number;
  /** Trace seconds skipped at the front. Default 0. */
  readonly fromS?: number;
  /** Length of the run in its own (already sped-up) seconds. Default: to the end of the trace. */
  readonly durationS?: number;
}

/** Replays `times` (sorted seconds). The first arrival keeps its distance from `fromS`. */
export function createTraceArrivals(times: Float64Array, options: ReplayOptions = {}): Arrivals {
  const { speed = 1, fromS = 0 } = options;
  const lastS = times.at(-1) ?? 0;
  // Past the last arrival by one mean gap, so that it is inside the run.
  const restS = Math.max(0, lastS - fromS) * (1 + 1 / Math.max(1, times.length)) || 1;
  const durationS = options.durationS ?? restS / speed;
  let index = 0;
  while (index < times.length && (times[index] ?? 0) < fromS) index++;
  return {
    durationS,
    stretchStartsS: Array.from({ length: STRETCHES }, (_, i) => (i * durationS) / STRETCHES),
    next() {
      const atS = ((times[index] ?? Number.POSITIVE_INFINITY) - fromS) / speed;
      if (atS >= durationS) return null;
      index++;
      return atS;
    },
  };
}
