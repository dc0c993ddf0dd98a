// Arrival times, one after the other: Poisson by thinning, or evenly spaced, from a seed.
import type { Random } from '../core/random.ts';
import type { Load } from './load.ts';

/** A run's arrivals in order. Pulled, never stored whole: an hour at 1,000/s would be 29 MB. */
export interface Arrivals {
  readonly durationS: number;
  /** Where the scorer's stretches begin, first 0. */
  readonly stretchStartsS: readonly number[];
  /** Seconds from the start of the run, never falling, below `durationS`; null when the run is over. */
  next(): number | null;
}

/**
 * Poisson arrivals at the load's rate by thinning (Lewis and Shedler 1979): candidates at `maxPerS`, each kept with
 * probability rate/maxPerS. Exact for every rate function, and its draws do not depend on the rate's shape.
 */
export function createArrivals(load: Load, random: Random): Arrivals {
  const { durationS, stretchStartsS } = load;
  return { durationS, stretchStartsS, next: load.isEven ? createEven(load) : createThinned(load, random) };
}

/** At most `limit` arrivals in one array, for code that wants them all at once. */
export function collectArrivals(arrivals: Arrivals, limit = Number.POSITIVE_INFINITY): Float64Array {
  let times = new Float64Array(1024);
  let count = 0;
  for (let atS = count < limit ? arrivals.next() : null; atS !== null; atS = count < limit ? arrivals.next() : null) {
    if (count === times.length) {
      const grown = new Float64Array(2 * times.length);
      grown.set(times);
      times = grown;
    }
    times[count++] = atS;
  }
  return times.slice(0, count);
}

function createEven(load: Load): () => number | null {
  let index = 0;
  return () => {
    // From the index, not by adding gaps: a sum of 30,000 rounded gaps drifts.
    const atS = index / load.maxPerS;
    if (atS >= load.durationS) return null;
    index++;
    return atS;
  };
}

function createThinned(load: Load, random: Random): () => number | null {
  const meanGapS = 1 / load.maxPerS;
  let atS = 0;
  return () => {
    while (atS < load.durationS) {
      atS += random.exponential(meanGapS);
      if (atS >= load.durationS) break;
      if (random.next() * load.maxPerS < load.rateAt(atS)) return atS;
    }
    return null;
  };
}
