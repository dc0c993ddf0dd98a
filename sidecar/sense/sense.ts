// The agent's senses: completions in, snapshots out. No timer and no clock: time is an argument.
import type { BatchCompletion, Completion, CompletionSink } from '../../src/core/completion.ts';
import { toSlaTarget, type Policy, type SlaTarget } from '../../src/core/policy.ts';
import type { SettingsVersion } from '../../src/core/settings.ts';
import type { ModelSnapshot, Snapshot, TelemetryReading, WindowStats } from '../../src/core/snapshot.ts';
import { LOOK_MS } from './change-point.ts';
import { ModelSense } from './model-sense.ts';

/** How full one model's lane is at this instant. */
export interface LaneLoad {
  readonly queueDepth: number;
  readonly oldestWaitMs: number;
  readonly inflight: number;
}

/** Where sense reads what others own. Called at every tick or batch, so they must be cheap. */
export interface SenseOptions {
  readonly startMs: number;
  readonly policy: () => Policy;
  readonly version: (model: string) => SettingsVersion;
  readonly load: (model: string, nowMs: number) => LaneLoad;
  /** The newest word of the mind; absent where there is no mind. */
  readonly telemetry?: () => TelemetryReading | null;
}

/** The name under which models beyond the hundredth share one window. */
export const OTHER_MODEL = 'other';
/** Distinct models with a window of their own. */
export const MOST_MODELS = 100;
/** So long after the last jump, sampling is slow again. */
const CALM_MS = 60_000;

/** The sink of the request path and what can be read off it. */
export interface Sense extends Required<CompletionSink> {
  /**
   * To be called at `nextTickMs` (being late costs reaction time, not truth). A snapshot when the window was due: every
   * `sampling.intervalS`, every `burstIntervalS` from a jump until a minute of calm.
   */
  tick(nowMs: number): Snapshot | null;
  nextTickMs(): number;
  /** The open windows as they stand; closes nothing. */
  snapshot(nowMs: number): Snapshot;
  /** The last closed window of each model; the same object until the next closes. */
  windows(): ReadonlyMap<string, WindowStats>;
  /** The last closed snapshot; null before the first. */
  lastSnapshot(): Snapshot | null;
  /** The p99 target in force for the model, assumed or given. */
  sla(model: string): SlaTarget;
  /** Interval in force, s: `morphling_sampling_interval_seconds`. */
  intervalS(): number;
}

export function createSense(options: SenseOptions): Sense {
  const models = new Map<string, ModelSense>();
  const closedWindows = new Map<string, WindowStats>();
  let lastSnapshot: Snapshot | null = null;
  let nowMs = options.startMs;
  let windowStartMs = options.startMs;
  let burstUntilMs = Number.NEGATIVE_INFINITY;

  const toName = (model: string): string => (models.has(model) || models.size < MOST_MODELS ? model : OTHER_MODEL);
  const modelOf = (model: string, atMs: number): ModelSense => {
    const known = models.get(model);
    if (known !== undefined) return known;
    const name = toName(model);
    const existing = models.get(name);
    if (existing !== undefined) return existing;
    const created = new ModelSense(atMs);
    created.setSla(options.policy().sla.p99Ms ?? Number.POSITIVE_INFINITY);
    models.set(name, created);
    return created;
  };
  const slaOf = (model: string): SlaTarget =>
    toSlaTarget(options.policy(), models.get(toName(model))?.batch1P99Ms ?? null);
  const isBurst = (): boolean => nowMs < burstUntilMs;
  const intervalS = (): number => {
    const { sampling } = options.policy();
    return isBurst() ? Math.min(sampling.burstIntervalS, sampling.intervalS) : sampling.intervalS;
  };

  const read = (): Snapshot => {
    let scores = 0;
    for (const model of models.values()) scores += model.readPopularityScore(nowMs);
    const readings: ModelSnapshot[] = [];
    for (const [name, model] of models)
      readings.push({
        model: name,
        version: options.version(name),
        sla: slaOf(name),
        window: model.readWindow(nowMs),
        features: model.readFeatures(nowMs, scores === 0 ? 0 : model.readPopularityScore(nowMs) / scores),
        ...options.load(name, nowMs),
        samples: model.readSamples(),
        arrivals: model.readArrivals(),
        isChangePoint: model.hasChanged,
      });
    return { atMs: nowMs, isBurst: isBurst(), models: readings, telemetry: options.telemetry?.() ?? null };
  };

  const close = (): Snapshot => {
    lastSnapshot = read();
    windowStartMs = nowMs;
    for (const { model, window, sla } of lastSnapshot.models) {
      closedWindows.set(model, window);
      const sense = models.get(model)!;
      sense.restart(nowMs);
      // Only between windows: within one, all completions are held against the same target.
      sense.setSla(sla.p99Ms ?? Number.POSITIVE_INFINITY);
    }
    return lastSnapshot;
  };

  return {
    arrived: (model, items, requestBytes, atMs) => modelOf(model, atMs).arrived(items, requestBytes, atMs),
    completed: (completion: Completion) => modelOf(completion.model, completion.endedMs).completed(completion),
    batchStarted: (model, atMs) => modelOf(model, atMs).batchStarted(atMs),
    batchCompleted(batch: BatchCompletion) {
      const { settings } = options.version(toName(batch.model));
      modelOf(batch.model, batch.startedMs).batchCompleted(batch, settings.batchSize);
    },
    tick(atMs) {
      nowMs = Math.max(nowMs, atMs);
      for (const model of models.values()) if (model.advance(nowMs)) burstUntilMs = nowMs + CALM_MS;
      return nowMs >= windowStartMs + intervalS() * 1000 ? close() : null;
    },
    nextTickMs: () => Math.min(nowMs + LOOK_MS, windowStartMs + intervalS() * 1000),
    snapshot(atMs) {
      nowMs = Math.max(nowMs, atMs);
      return read();
    },
    windows: () => closedWindows,
    lastSnapshot: () => lastSnapshot,
    sla: slaOf,
    intervalS,
  };
}
