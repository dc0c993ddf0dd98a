// Where a load jumps: the moments whose next interval is excused.
import type { Load } from '../../src/traffic/load.ts';
import type { Workload } from '../../src/traffic/workload.ts';

/** A burst's switches are looked for in steps of this share of an interval. */
const LOOKS_PER_INTERVAL = 50;
/** States that last less than so many intervals in the mean are noise to whoever decides once an interval: none is excused. */
const DWELL_INTERVALS_MIN = 3;

/**
 * Seconds, ascending. Segments of steps and flash; the switches of a burst; nothing of what changes smoothly. `load` is
 * read from front to back, so a burst needs one of its own, made from the same stream.
 */
export function toJumpsS(workload: Workload, load: Load, intervalS: number): readonly number[] {
  if (workload.kind === 'steps' || workload.kind === 'flash') return load.stretchStartsS.slice(1);
  if (workload.kind !== 'burst') return [];
  const jumpsS: number[] = [];
  const stepS = intervalS / LOOKS_PER_INTERVAL;
  let rate = load.rateAt(0);
  for (let index = 1; index * stepS < load.durationS; index++) {
    const now = load.rateAt(index * stepS);
    if (now !== rate) jumpsS.push(index * stepS);
    rate = now;
  }
  return load.durationS / (jumpsS.length + 1) < DWELL_INTERVALS_MIN * intervalS ? [] : jumpsS;
}
