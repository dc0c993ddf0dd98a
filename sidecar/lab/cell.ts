// One simulated run made concrete: a curve, arrivals, an interval and a policy, all in the time of the agent.
import { DEFAULT_POLICY, type Mode, type Policy } from '../../src/core/policy.ts';
import { createRandom } from '../../src/core/random.ts';
import { type Arrivals, collectArrivals, createArrivals } from '../../src/traffic/arrivals.ts';
import { type Load, toLoad } from '../../src/traffic/load.ts';
import { createTraceArrivals } from '../../src/traffic/trace.ts';
import type { Workload } from '../../src/traffic/workload.ts';
import { DEFAULT_NOISE_RATIO } from './engine.ts';
import { toJumpsS } from './jumps.ts';
import { type CurvePoint, createCurve, type LatencyCurve } from './profiles.ts';
import { type Piece, toTimeline } from './timeline.ts';

/** Where the requests come from. */
export type Traffic =
  | { readonly kind: 'workload'; readonly workload: Workload }
  /** Recorded times, s; `speed` 10 plays an hour in six minutes. */
  | { readonly kind: 'trace'; readonly timesS: Float64Array; readonly speed: number };

/** What the engine becomes when its discrete switch is on, and what turning it costs. */
export interface Alternative {
  readonly points: readonly CurvePoint[];
  readonly switchName: string;
  /** Nothing advances so long after a turn, ms; 0: live. */
  readonly stallMs: number;
}

/** The engine itself changes: from `atS` on every batch takes `slowdown` times as long as its curve says. */
export interface Disturbance {
  readonly atS: number;
  readonly slowdown: number;
  /** Nobody could foresee it: the interval after it is excused, as after a jump of the load. */
  readonly isJump: boolean;
}

/** A run as it is asked for, in the seconds and milliseconds of the user. */
export interface CellSpec {
  readonly points: readonly CurvePoint[];
  readonly alternative?: Alternative;
  readonly traffic: Traffic;
  /** `requests`: the length follows, and the workload's times stretch to fit. */
  readonly length: { readonly requests: number } | { readonly durationS: number };
  /** Control interval; absent: a hundredth of the run with `requests`, 10 s with `durationS`. */
  readonly intervalS?: number;
  readonly slaP99Ms: number;
  readonly interference: number;
  readonly seed: number;
  /** Standard deviation of a batch's work around L(b); absent: the engine model's 0.05. */
  readonly noiseRatio?: number;
  readonly disturbances?: readonly Disturbance[];
}

/**
 * The run in the time of the agent. The agent's own constants (looks of 250 ms, blocks of a second, bars of half an
 * hour) are made for intervals of 10 s. A run of 100 intervals of 0.4 s is therefore played slowed down, so that an
 * interval lasts 10 s: engine, load and SLA alike, which changes no ratio, only what a second means. `timeScale` is the
 * factor; figures are divided by it before anyone sees them.
 */
export interface Cell {
  readonly curve: LatencyCurve;
  readonly alternative: { readonly curve: LatencyCurve; readonly switchName: string; readonly stallMs: number } | null;
  readonly arrivalsMs: Float64Array;
  readonly durationMs: number;
  readonly intervalMs: number;
  readonly slaMs: number;
  readonly interference: number;
  readonly seed: number;
  readonly noiseRatio: number;
  readonly stretchStartsMs: readonly number[];
  readonly jumpsMs: readonly number[];
  readonly pieces: readonly Piece[];
  readonly disturbances: readonly { readonly atMs: number; readonly slowdown: number }[];
  /** Time of the agent / time of the user. */
  readonly timeScale: number;
}

/** Control intervals of a run whose length is given in requests. */
const INTERVALS = 100;
const DEFAULT_INTERVAL_S = 10;
/** What the agent's constants are made for. */
const AGENT_INTERVAL_S = 10;
/** The agent samples in whole seconds at the least, so a given interval from here on is played as it is. */
const UNSCALED_INTERVAL_MIN_S = 1;
/** Throws BAD_CONFIG where nothing would arrive. The same spec gives the same cell. */
export function createCell(spec: CellSpec): Cell {
  const plain = createCurve(spec.points);
  const { arrivals, toLoadJumpsS } = toArrivals(spec, plain.peakItemsPerMs * 1000);
  const { durationS } = arrivals;
  const isByRequests = 'requests' in spec.length;
  const intervalS = spec.intervalS ?? (isByRequests ? durationS / INTERVALS : DEFAULT_INTERVAL_S);
  const isScaled = spec.intervalS === undefined ? isByRequests : intervalS < UNSCALED_INTERVAL_MIN_S;
  const timeScale = isScaled ? AGENT_INTERVAL_S / intervalS : 1;
  const toMs = (atS: number): number => atS * 1000 * timeScale;
  const toScaledCurve = (points: readonly CurvePoint[]): LatencyCurve =>
    createCurve(points.map(({ items, latencyMs }) => ({ items, latencyMs: latencyMs * timeScale })));

  const disturbances = (spec.disturbances ?? []).filter((one) => one.atS < durationS);
  const disturbedS = disturbances.filter((one) => one.isJump).map((one) => one.atS);
  const jumpsMs = [...toLoadJumpsS(intervalS), ...disturbedS].toSorted((a, b) => a - b).map(toMs);
  const stretchStartsMs = arrivals.stretchStartsS.map(toMs);
  const intervalMs = toMs(intervalS);
  const durationMs = toMs(durationS);
  const { alternative } = spec;
  return {
    curve: toScaledCurve(spec.points),
    alternative:
      alternative === undefined
        ? null
        : {
            curve: toScaledCurve(alternative.points),
            switchName: alternative.switchName,
            stallMs: alternative.stallMs * timeScale,
          },
    arrivalsMs: collectArrivals(arrivals).map(toMs),
    durationMs,
    intervalMs,
    slaMs: spec.slaP99Ms * timeScale,
    interference: spec.interference,
    seed: spec.seed,
    noiseRatio: spec.noiseRatio ?? DEFAULT_NOISE_RATIO,
    stretchStartsMs,
    jumpsMs,
    pieces: toTimeline({ stretchStartsMs, jumpsMs, intervalMs, durationMs }),
    disturbances: disturbances.map(({ atS, slowdown }) => ({ atMs: toMs(atS), slowdown })),
    timeScale,
  };
}

/** The agent's policy for a cell: its constants, the cell's interval and SLA. */
export function toCellPolicy(cell: Cell, mode: Mode): Policy {
  const intervalS = cell.intervalMs / 1000;
  return {
    ...DEFAULT_POLICY,
    mode,
    sla: { ...DEFAULT_POLICY.sla, p99Ms: cell.slaMs },
    bounds: { ...DEFAULT_POLICY.bounds, switches: cell.alternative === null ? [] : [cell.alternative.switchName] },
    sampling: { intervalS, burstIntervalS: intervalS / 10 },
    decideIntervalS: intervalS,
    rollback: { ...DEFAULT_POLICY.rollback, windowS: intervalS },
  };
}

interface CellArrivals {
  readonly arrivals: Arrivals;
  readonly toLoadJumpsS: (intervalS: number) => readonly number[];
}

function toArrivals({ traffic, length, seed }: CellSpec, peakPerS: number): CellArrivals {
  if (traffic.kind === 'trace') {
    const { timesS, speed } = traffic;
    const arrivals =
      'durationS' in length
        ? createTraceArrivals(timesS, { speed, durationS: length.durationS })
        : createTraceArrivals(timesS.subarray(0, Math.round(length.requests)), { speed });
    return { arrivals, toLoadJumpsS: () => [] };
  }
  const random = createRandom(seed);
  const { workload } = traffic;
  // A fork depends on the seed and its label alone: each call gives the load the same switches.
  const createLoad = (): Load => toLoad(workload, { length, peakPerS, random: random.fork('load') });
  return {
    arrivals: createArrivals(createLoad(), random.fork('arrivals')),
    toLoadJumpsS: (intervalS) => toJumpsS(workload, createLoad(), intervalS),
  };
}
