// Worlds to train in: everything that may differ between two deployments, drawn from a seed.
import { type Mode, MODES } from '../../src/core/policy.ts';
import type { Random } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { TelemetryReading } from '../../src/core/snapshot.ts';
import type { Rate, Workload } from '../../src/traffic/workload.ts';
import type { Alternative, CellSpec, Disturbance } from './cell.ts';
import { toColdStart, toDrift, toNeighbour } from './disturbances.ts';
import { type CurvePoint, createCurve, type Profile } from './profiles.ts';

/** How the mind's telemetry fares: fresh, older than anybody should trust, or `[N/A]` in every field. */
export type TelemetryState = 'fresh' | 'late' | 'none';

/** What is drawn, each as a closed range or a chance in 0..1. */
export interface ScenarioRanges {
  /** Requests of a run; its length follows. */
  readonly requests: readonly [number, number];
  /** SLA as a multiple of L(16). */
  readonly slaFactor: readonly [number, number];
  /** kappa. */
  readonly interference: readonly [number, number];
  /** Standard deviation of a batch's work. */
  readonly noiseRatio: readonly [number, number];
  /** Highest load as a share of the peak. */
  readonly highLoad: readonly [number, number];
  /** Share of a second profile mixed into the first, in ln. */
  readonly mixing: readonly [number, number];
  /** Height of a ripple on ln L: above about 0.1 the curve is no longer monotone. */
  readonly ripple: readonly [number, number];
  /** Chances of each happening. */
  readonly coldStart: number;
  readonly drift: number;
  readonly neighbour: number;
  readonly switch: number;
  readonly telemetryLate: number;
  readonly telemetryNone: number;
  /** Chance that the run starts anywhere but at natural batching. */
  readonly otherStart: number;
}

/** What training draws from. Evaluation has fixed cells of its own, from other families. */
export const TRAINING_RANGES: ScenarioRanges = {
  requests: [6000, 24_000],
  slaFactor: [1.3, 6],
  interference: [0.3, 1],
  noiseRatio: [0.02, 0.15],
  highLoad: [0.3, 0.97],
  mixing: [0, 0.5],
  ripple: [0, 0.15],
  coldStart: 0.2,
  drift: 0.2,
  neighbour: 0.25,
  switch: 0.1,
  telemetryLate: 0.1,
  telemetryNone: 0.3,
  otherStart: 0.3,
};

export interface Scenario {
  readonly spec: CellSpec;
  readonly mode: Mode;
  /** Null: natural batching. */
  readonly start: Settings | null;
  readonly telemetry: TelemetryState;
  /** What was drawn, in a line. */
  readonly name: string;
}

/** One world. Every part draws from a stream of its own, so that changing one range leaves the others as they were. */
export function createScenario(
  profiles: readonly Profile[],
  random: Random,
  ranges: ScenarioRanges = TRAINING_RANGES,
): Scenario {
  const seed = random.int(0x7fff_ffff);
  const of = (label: string): Random => random.fork(`${label}-${seed}`);
  const profile = profiles[of('profile').int(profiles.length)]!;
  const other = profiles[of('other').int(profiles.length)]!;
  const points = toRandomPoints(profile, other, of('curve'), ranges);
  const mode = MODES[of('mode').int(MODES.length)]!;
  const workload = toRandomWorkload(of('workload'), ranges);
  const requests = Math.round(within(of('requests'), ranges.requests));
  const slaFactor = within(of('sla'), ranges.slaFactor);
  const interference = within(of('interference'), ranges.interference);
  const durationS = toDurationS(points, workload, requests);
  const disturbances = toRandomDisturbances(of('disturbances'), durationS, ranges);
  const alternative = toRandomAlternative(profile, profiles, of('switch'), ranges, durationS);
  const telemetryDraw = of('telemetry').next();
  const telemetry: TelemetryState =
    telemetryDraw < ranges.telemetryLate
      ? 'late'
      : telemetryDraw < ranges.telemetryLate + ranges.telemetryNone
        ? 'none'
        : 'fresh';
  return {
    spec: {
      points,
      traffic: { kind: 'workload', workload },
      length: { requests },
      slaP99Ms: slaFactor * createCurve(points).latencyMs(16),
      interference,
      noiseRatio: within(of('noise'), ranges.noiseRatio),
      seed,
      disturbances,
      ...(alternative === null ? {} : { alternative }),
    },
    mode,
    start: of('start').next() < ranges.otherStart ? toRandomStart(of('settings')) : null,
    telemetry,
    name: `${profile.id}, ${workload.kind}, SLA ${slaFactor.toFixed(1)} x L(16), kappa ${interference.toFixed(2)}, ${mode}`,
  };
}

/** What the mind would read off the device of a run: utilisation over the last second, or what `state` makes of it. */
export function createTelemetry(
  state: TelemetryState,
  intervalMs: number,
): (nowMs: number, busyMs: number) => TelemetryReading | null {
  if (state === 'none') return () => null;
  const samples: { readonly atMs: number; readonly busyMs: number }[] = [];
  return (nowMs, busyMs) => {
    samples.push({ atMs: nowMs, busyMs });
    while ((samples[1]?.atMs ?? Infinity) <= nowMs - intervalMs / 10) samples.shift();
    const first = samples[0]!;
    const utilizationRatio = nowMs > first.atMs ? Math.min(1, (busyMs - first.busyMs) / (nowMs - first.atMs)) : null;
    return {
      devices: [
        {
          index: '0',
          uuid: 'GPU-lab',
          name: 'modelled',
          utilizationRatio,
          memoryUsedBytes: null,
          memoryTotalBytes: null,
          powerWatts: null,
          temperatureCelsius: null,
          parentUuid: null,
        },
      ],
      deviceSource: 'nvidia-smi',
      host: null,
      engine: null,
      health: [{ source: 'nvidia-smi', ageMs: state === 'late' ? 10 * intervalMs : 500, errors: 0, lastError: null }],
    };
  };
}

function toRandomPoints(
  profile: Profile,
  other: Profile,
  random: Random,
  { mixing, ripple }: ScenarioRanges,
): readonly CurvePoint[] {
  const [a, b] = [createCurve(profile.points), createCurve(other.points)];
  const share = within(random, mixing);
  const height = within(random, ripple);
  const [phase, turns] = [2 * Math.PI * random.next(), 1 + 2 * random.next()];
  // Finer than the knots of any fit, so that a ripple shows between them.
  return [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64].map((items) => {
    const relative =
      (1 - share) * Math.log(a.latencyMs(items)) + share * Math.log(b.latencyMs(items) / b.latencyMs(16));
    const level = share * Math.log(a.latencyMs(16));
    return { items, latencyMs: Math.exp(relative + level + height * Math.sin(turns * Math.log2(items) + phase)) };
  });
}

function toRandomWorkload(random: Random, { highLoad }: ScenarioRanges): Workload {
  const top = within(random, highLoad);
  const rate = (ratio: number): Rate => ({ kind: 'ofPeak', ratio });
  const low = top * (0.1 + 0.7 * random.next());
  switch (random.int(6)) {
    case 0:
      return { kind: 'poisson', rate: rate(top) };
    case 1: {
      const count = 2 + random.int(5);
      const steps = Array.from({ length: count }, (_, index) => ({
        rate: rate(index % 2 === random.int(2) ? top : low + (top - low) * random.next()),
        atS: index,
      }));
      return { kind: 'steps', steps };
    }
    case 2:
      return { kind: 'ramp', from: rate(low), to: rate(top) };
    case 3:
      // The run is one period: half of it calm.
      return { kind: 'sine', low: rate(low), high: rate(top), periodS: 1 };
    case 4:
      return { kind: 'burst', low: rate(low), high: rate(top), meanOnS: 1, meanOffS: 0.5 + 2 * random.next() };
    default:
      return { kind: 'flash', base: rate(low), peak: rate(top), atS: 1, lengthS: 0.3 + random.next() };
  }
}

function toRandomDisturbances(random: Random, durationS: number, ranges: ScenarioRanges): readonly Disturbance[] {
  const draw = random.next();
  if (draw < ranges.coldStart) return toColdStart(durationS, 1.5 + 2 * random.next());
  if (draw < ranges.coldStart + ranges.drift) return toDrift(durationS, Math.exp(0.6 * (random.next() - 0.5)));
  if (draw < ranges.coldStart + ranges.drift + ranges.neighbour)
    return toNeighbour(durationS, durationS * (0.1 + 0.2 * random.next()), 1.1 + 0.6 * random.next());
  return [];
}

/** Another precision or framework of the same model on the same device: the real size of such a switch. */
function toRandomAlternative(
  profile: Profile,
  profiles: readonly Profile[],
  random: Random,
  ranges: ScenarioRanges,
  durationS: number,
): Alternative | null {
  const siblings = profiles.filter(
    ({ id, model, gpu }) => id !== profile.id && model === profile.model && gpu === profile.gpu,
  );
  const isDrawn = random.next() < ranges.switch;
  const sibling = siblings[random.int(Math.max(1, siblings.length))];
  if (!isDrawn || sibling === undefined) return null;
  const stallMs = random.next() < 0.5 ? 0 : 1000 * durationS * 0.02 * random.next();
  return { points: sibling.points, switchName: 'tensorrt', stallMs };
}

function toRandomStart(random: Random): Settings {
  return {
    batchSize: Math.round(2 ** (6 * random.next())),
    batchDelayMs: 0,
    concurrency: Math.round(2 ** (2 * random.next())),
    switches: {},
  };
}

/** As `toLoad` will have it; only proportions of it are used. */
function toDurationS(points: readonly CurvePoint[], workload: Workload, requests: number): number {
  const peakPerS = createCurve(points).peakItemsPerMs * 1000;
  return requests / (peakPerS * toMeanRatio(workload));
}

function toMeanRatio(workload: Workload): number {
  const ratio = (rate: Rate): number => (rate.kind === 'ofPeak' ? rate.ratio : 1);
  switch (workload.kind) {
    case 'constant':
    case 'poisson':
      return ratio(workload.rate);
    case 'steps':
      return workload.steps.reduce((sum, step) => sum + ratio(step.rate), 0) / workload.steps.length;
    case 'ramp':
      return (ratio(workload.from) + ratio(workload.to)) / 2;
    case 'sine':
      return (ratio(workload.low) + ratio(workload.high)) / 2;
    case 'burst': {
      const { low, high, meanOnS, meanOffS } = workload;
      return (ratio(high) * meanOnS + ratio(low) * meanOffS) / (meanOnS + meanOffS);
    }
    case 'flash': {
      const { base, peak, atS, lengthS } = workload;
      return (2 * atS * ratio(base) + lengthS * ratio(peak)) / (2 * atS + lengthS);
    }
    default:
      return workload satisfies never;
  }
}

function within(random: Random, [low, high]: readonly [number, number]): number {
  return low + (high - low) * random.next();
}
