// The agent at one glance: what `morphling status` and the page's head show.
import { type Static, Type } from 'typebox';
import { oneOf, orNull } from '../config/schema.ts';
import { SettingsSchema } from '../config/settings.ts';
import { MODES } from '../core/policy.ts';
import { SourceSchema } from './settings.ts';
import { SlaTargetSchema, SourceHealthSchema } from './snapshot.ts';

/** Null while no request for the model has come. */
const BatchingSchema = Type.Object({
  isBatchable: Type.Boolean({ description: 'Whether requests for it may share a call.' }),
  reason: Type.String({ description: 'Who says so, or what an answer showed.' }),
  maxItems: orNull<number>(
    Type.Integer({ minimum: 1, description: "The engine's own maximum; null when it names none." }),
  ),
});

const TrialStatusSchema = Type.Object({
  candidate: SettingsSchema,
  stage: Type.Integer({ minimum: 1 }),
  stages: Type.Integer({ minimum: 1 }),
  share: Type.Number({ description: 'Of the time in which the candidate serves all traffic, 0..1.' }),
  blocks: Type.Integer({ minimum: 0, description: 'Blocks of slices compared in this stage.' }),
  sinceMs: Type.Number({ minimum: 0 }),
  sliceMs: Type.Number({ minimum: 0, description: 'Length of a slice.' }),
  objectiveRatio: orNull<number>(
    Type.Number({ description: 'Candidate / in force, as measured so far; lower is better.' }),
  ),
});

const ModelStatusSchema = Type.Object({
  model: Type.String(),
  settings: SettingsSchema,
  generation: Type.Integer({ minimum: 1 }),
  source: SourceSchema,
  lastGood: SettingsSchema,
  isWatching: Type.Boolean({ description: 'The change in force has no verdict yet.' }),
  trial: Type.Optional(TrialStatusSchema),
  sla: SlaTargetSchema,
  ratePerS: orNull<number>(Type.Number()),
  p99Ms: orNull<number>(Type.Number()),
  errorRatio: orNull<number>(Type.Number()),
  meanBatchItems: orNull<number>(Type.Number()),
  queueDepth: Type.Integer({ minimum: 0 }),
  inflight: Type.Integer({ minimum: 0 }),
  batching: orNull<Static<typeof BatchingSchema>>(BatchingSchema),
});

/** `GET /v1/status`. Figures of a model are null until its first window has closed. */
export const StatusBodySchema = Type.Object({
  version: Type.String(),
  uptimeS: Type.Number({ minimum: 0 }),
  upstream: Type.String(),
  isReady: Type.Boolean(),
  isPaused: Type.Boolean({ description: 'Nothing is decided; what is in force stays.' }),
  isBypass: Type.Boolean({ description: 'No batching, trials or limits.' }),
  mode: oneOf(MODES),
  decider: Type.String(),
  engine: Type.String(),
  mind: oneOf(['up', 'down', 'not started']),
  configInvalid: Type.Array(Type.String(), { description: 'What fail-open let pass; not empty: a pass-through.' }),
  stateProblem: orNull<string>(Type.String({ description: 'Why state does not reach the disk.' })),
  deviceSource: orNull<string>(Type.String()),
  telemetry: Type.Array(SourceHealthSchema),
  models: Type.Array(ModelStatusSchema),
});

export type StatusBody = Static<typeof StatusBodySchema>;
