// What became of every change.
import { type Static, Type } from 'typebox';
import { oneOf, orNull } from '../config/schema.ts';
import { SettingsSchema } from '../config/settings.ts';
import { CHANGE_RESULTS } from '../core/history.ts';
import { SourceSchema } from './settings.ts';

export const PredictionSchema = Type.Object({
  p99Ms: Type.Number(),
  gpuSecondsPer1k: Type.Number({ description: 'Busy device seconds per 1,000 answers within the SLO.' }),
});

const NullablePredictionSchema = orNull<Static<typeof PredictionSchema>>(PredictionSchema);

export const HistoryEntrySchema = Type.Object({
  at: Type.String({ description: 'Wall clock, ISO 8601.' }),
  model: Type.String(),
  generation: Type.Integer({ minimum: 1 }),
  source: SourceSchema,
  class: oneOf(['reflex', 'step', 'leap']),
  result: oneOf(CHANGE_RESULTS),
  from: SettingsSchema,
  to: SettingsSchema,
  reason: Type.String(),
  predicted: NullablePredictionSchema,
  measured: NullablePredictionSchema,
  trial: Type.Optional(
    Type.Object({
      stage: Type.Integer({ minimum: 1 }),
      stages: Type.Integer({ minimum: 1 }),
      share: Type.Number({ description: 'Of the time in which the candidate serves all traffic, 0..1.' }),
      blocks: Type.Integer({ minimum: 0, description: 'Blocks of slices that were compared.' }),
      baseline: NullablePredictionSchema,
    }),
  ),
});

/** `GET /v1/history`, newest first. */
export const HistoryBodySchema = Type.Object({ entries: Type.Array(HistoryEntrySchema) });
