// What sense and telemetry know at one instant. Unknown is null, never 0.
import { type Static, type TSchema, type TUnsafe, Type } from 'typebox';
import { oneOf, orNull } from '../config/schema.ts';
import { DEPARTURE_REASONS, OUTCOMES } from '../core/completion.ts';
import { VersionSchema } from './settings.ts';

const number = Type.Number();
const count = Type.Integer({ minimum: 0 });
const ratio = Type.Number({ minimum: 0, maximum: 1 });
const text = Type.String();
const maybe = <Schema extends TSchema>(schema: Schema): TUnsafe<Static<Schema> | null> =>
  orNull<Static<Schema>>(schema);
const countsOf = <Key extends string>(keys: readonly Key[]): TUnsafe<Record<Key, number>> =>
  Type.Unsafe<Record<Key, number>>(Type.Object(Object.fromEntries(keys.map((key) => [key, count]))));

export const SlaTargetSchema = Type.Object({
  p99Ms: maybe(number),
  isAssumed: Type.Boolean({ description: 'True: nobody gave one; 3 times the measured p99 at batch 1.' }),
});

const QuantilesSchema = Type.Object(
  { count, meanMs: number, p50Ms: number, p90Ms: number, p95Ms: number, p99Ms: number, p999Ms: number, maxMs: number },
  { description: 'Relative error at most 1.6 %.' },
);

const WindowSchema = Type.Object({
  durationMs: number,
  arrivals: count,
  arrivedItems: count,
  completions: count,
  completedItems: count,
  ratePerS: number,
  outcomes: countsOf(OUTCOMES),
  errorRatio: ratio,
  shedRatio: ratio,
  cancelRatio: ratio,
  latency: maybe(QuantilesSchema),
  queue: maybe(QuantilesSchema),
  upstream: maybe(QuantilesSchema),
  sloAttainment: maybe(ratio),
  batches: count,
  meanBatchItems: number,
  meanBatchRequests: number,
  fillRatio: number,
  departures: countsOf(DEPARTURE_REASONS),
  busyRatio: ratio,
  meanInflight: number,
});

const FeaturesSchema = Type.Object({
  requestBytes: maybe(Type.Object({ p50: number, p99: number, mean: number })),
  itemsPerRequest: maybe(Type.Object({ mean: number, p99: number })),
  dispersion: maybe(number),
  period: maybe(Type.Object({ seconds: number, confidence: number })),
  popularity: ratio,
});

const pair = Type.Unsafe<[number, number]>({ type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 });

const ModelSnapshotSchema = Type.Object({
  model: text,
  version: VersionSchema,
  sla: SlaTargetSchema,
  window: WindowSchema,
  features: FeaturesSchema,
  queueDepth: count,
  oldestWaitMs: number,
  inflight: count,
  samples: Type.Array(Type.Object({ startedMs: number, durationMs: number, items: count, inflight: count })),
  arrivals: Type.Array(pair),
  isChangePoint: Type.Boolean(),
});

const DeviceSchema = Type.Object({
  index: text,
  uuid: text,
  name: maybe(text),
  utilizationRatio: maybe(number),
  memoryUsedBytes: maybe(number),
  memoryTotalBytes: maybe(number),
  powerWatts: maybe(number),
  temperatureCelsius: maybe(number),
  parentUuid: maybe(text),
});

const HostSchema = Type.Object({
  cpuRatio: maybe(number),
  cpuSource: oneOf(['container', 'pod', 'node', 'process']),
  throttledRatio: maybe(number),
  memoryUsedBytes: maybe(number),
  memoryLimitBytes: maybe(number),
});

const EngineSchema = Type.Object({
  engine: oneOf(['triton', 'mlserver', 'vllm', 'unknown']),
  queueDepth: maybe(number),
  running: maybe(number),
  queueMs: maybe(number),
  computeMs: maybe(number),
  meanBatchItems: maybe(number),
  kvCacheRatio: maybe(number),
});

export const SourceHealthSchema = Type.Object({
  source: text,
  ageMs: maybe(number),
  errors: count,
  lastError: maybe(text),
});

const TelemetrySchema = Type.Object({
  devices: Type.Array(DeviceSchema),
  deviceSource: maybe(text),
  host: maybe(HostSchema),
  engine: maybe(EngineSchema),
  health: Type.Array(SourceHealthSchema),
});

export const SnapshotSchema = Type.Object({
  atMs: Type.Number({ description: 'Monotonic; only differences mean something.' }),
  isBurst: Type.Boolean(),
  models: Type.Array(ModelSnapshotSchema),
  telemetry: maybe(TelemetrySchema),
});

/** `GET /v1/snapshot`; null until the first window has closed. */
export const SnapshotBodySchema = Type.Object({ snapshot: maybe(SnapshotSchema) });
