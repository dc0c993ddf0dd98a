// A workload made concrete: a rate for every second of a run of known length.
import type { Random } from '../core/random.ts';
import { MorphlingError } from '../core/errors.ts';
import type { Rate, Workload } from './workload.ts';

/** The run's rate over time, as the generator and the scorer need it. */
export interface Load {
  readonly durationS: number;
  /** Requests per second at `atS`; asked with rising times only, as a burst draws its switches lazily. */
  rateAt(atS: number): number;
  /** No rate above it: the envelope of thinning. */
  readonly maxPerS: number;
  /** Where the scorer's stretches begin, first 0: the segments of steps and flash, else tenths of the run. */
  readonly stretchStartsS: readonly number[];
  /** Evenly spaced arrivals instead of Poisson ones. */
  readonly isEven: boolean;
}

/** What sets the length of a run, and what `%` means. */
export interface LoadOptions {
  /** Seconds, or the expected number of requests; with the latter the workload's times stretch to fit. */
  readonly length: { readonly durationS: number } | { readonly requests: number };
  /** Items per second the engine can do at most; needed where a rate is a percentage. */
  readonly peakPerS?: number;
  /** Draws the switches of a burst; a stream of its own keeps arrivals comparable. */
  readonly random: Random;
}

/** Tenths of a run are its stretches where the workload has no segments of its own. */
const STRETCHES = 10;
/** A burst's stretch factor is set by this many mean on-off cycles to a run: enough that both states are seen often. */
const BURST_CYCLES = 10;

/**
 * Resolves rates against the peak and times against the length. With `requests` the run is as long as that many
 * expected arrivals take, and the workload's own times scale with it: the last of `steps` is as long as the one
 * before it, `sine` makes one period, `flash` has as much calm after it as before, `burst` ten mean cycles.
 * Throws BAD_CONFIG for a percentage without a peak and for a run in which nothing would arrive.
 */
export function toLoad(workload: Workload, options: LoadOptions): Load {
  const shape = toShape(workload, (rate) => resolve(rate, options.peakPerS));
  const { length } = options;
  const expectedPerSpan = shape.meanPerS * shape.spanS;
  const scale = 'requests' in length ? length.requests / expectedPerSpan : 1;
  const durationS = 'requests' in length ? shape.spanS * scale : length.durationS;
  if (!Number.isFinite(durationS) || durationS <= 0)
    throw new MorphlingError('BAD_CONFIG', 'workload: the run must last longer than 0 s and have requests');
  const starts = shape.segmentStartsS.map((startS) => startS * scale).filter((startS) => startS < durationS);
  return {
    durationS,
    rateAt: shape.createRate(scale, durationS, options.random),
    maxPerS: shape.maxPerS,
    stretchStartsS:
      starts.length > 1 ? starts : Array.from({ length: STRETCHES }, (_, i) => (i * durationS) / STRETCHES),
    isEven: workload.kind === 'constant',
  };
}

interface Shape {
  /** Length and mean rate of the workload's natural run, before scaling. */
  readonly spanS: number;
  readonly meanPerS: number;
  readonly maxPerS: number;
  readonly segmentStartsS: readonly number[];
  createRate(scale: number, durationS: number, random: Random): (atS: number) => number;
}

function toShape(workload: Workload, perS: (rate: Rate) => number): Shape {
  switch (workload.kind) {
    case 'constant':
    case 'poisson':
      return toStepShape([{ atS: 0, perS: perS(workload.rate) }], 1);
    case 'steps': {
      const steps = workload.steps.map((step) => ({ atS: step.atS, perS: perS(step.rate) }));
      const lastS = steps.at(-1)?.atS ?? 0;
      return toStepShape(steps, lastS === 0 ? 1 : 2 * lastS - (steps.at(-2)?.atS ?? 0));
    }
    case 'flash': {
      const [base, peak, endS] = [perS(workload.base), perS(workload.peak), workload.atS + workload.lengthS];
      const steps = [
        { atS: 0, perS: base },
        { atS: workload.atS, perS: peak },
        { atS: endS, perS: base },
      ];
      return toStepShape(steps, endS + workload.atS);
    }
    case 'ramp':
      return toRampShape(perS(workload.from), perS(workload.to));
    case 'sine':
      return toSineShape(perS(workload.low), perS(workload.high), workload.periodS);
    case 'burst':
      return toBurstShape(perS(workload.low), perS(workload.high), workload.meanOnS, workload.meanOffS);
  }
}

function toStepShape(steps: readonly { readonly atS: number; readonly perS: number }[], spanS: number): Shape {
  const endOf = (index: number): number => steps[index + 1]?.atS ?? spanS;
  const expected = steps.reduce((sum, step, index) => sum + step.perS * (endOf(index) - step.atS), 0);
  return {
    spanS,
    meanPerS: expected / spanS,
    maxPerS: Math.max(...steps.map((step) => step.perS)),
    segmentStartsS: steps.map((step) => step.atS),
    createRate(scale) {
      let current = 0;
      return (atS) => {
        while (current + 1 < steps.length && atS >= endOf(current) * scale) current++;
        return steps[current]?.perS ?? 0;
      };
    },
  };
}

function toRampShape(fromPerS: number, toPerS: number): Shape {
  return {
    spanS: 1,
    meanPerS: (fromPerS + toPerS) / 2,
    maxPerS: Math.max(fromPerS, toPerS),
    segmentStartsS: [0],
    createRate: (_scale, durationS) => (atS) => fromPerS + ((toPerS - fromPerS) * atS) / durationS,
  };
}

/** Starts at LOW, so that a run opens calm and the peak is in the middle of each period. */
function toSineShape(lowPerS: number, highPerS: number, periodS: number): Shape {
  const middle = (lowPerS + highPerS) / 2;
  const half = (highPerS - lowPerS) / 2;
  return {
    spanS: periodS,
    meanPerS: middle,
    maxPerS: Math.max(lowPerS, highPerS),
    segmentStartsS: [0],
    createRate: (scale) => (atS) => middle - half * Math.cos((2 * Math.PI * atS) / (periodS * scale)),
  };
}

/** Two-state Markov-modulated Poisson process; starts off, dwell times are exponential. */
function toBurstShape(lowPerS: number, highPerS: number, meanOnS: number, meanOffS: number): Shape {
  return {
    spanS: BURST_CYCLES * (meanOnS + meanOffS),
    meanPerS: (highPerS * meanOnS + lowPerS * meanOffS) / (meanOnS + meanOffS),
    maxPerS: Math.max(lowPerS, highPerS),
    segmentStartsS: [0],
    createRate(scale, _durationS, random) {
      let isOn = false;
      let untilS = random.exponential(meanOffS * scale);
      return (atS) => {
        while (atS >= untilS) {
          isOn = !isOn;
          untilS += random.exponential((isOn ? meanOnS : meanOffS) * scale);
        }
        return isOn ? highPerS : lowPerS;
      };
    },
  };
}

function resolve(rate: Rate, peakPerS: number | undefined): number {
  if (rate.kind === 'perS') return rate.perS;
  if (peakPerS === undefined)
    throw new MorphlingError(
      'BAD_CONFIG',
      `workload: expected requests per second (nothing here has a peak), got ${rate.ratio * 100}%`,
    );
  return rate.ratio * peakPerS;
}
