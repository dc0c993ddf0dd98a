// Why the last decisions were made.
import { type Static, type TUnsafe, Type } from 'typebox';
import { mapOf, oneOf, orNull } from '../config/schema.ts';
import { SettingsSchema } from '../config/settings.ts';
import { PredictionSchema } from './history.ts';

const ProposalSchema = Type.Object({
  model: Type.String(),
  settings: SettingsSchema,
  class: oneOf(['reflex', 'step', 'leap']),
  decider: Type.String(),
  reason: Type.String(),
  predicted: orNull<Static<typeof PredictionSchema>>(PredictionSchema),
  evidence: mapOf<number | string | null>(Type.Union([Type.Number(), Type.String(), Type.Null()])),
});

const held = { model: Type.String(), decider: Type.String(), reason: Type.String() };
const DecisionSchema = Type.Union([
  Type.Object({ kind: Type.Literal('hold'), ...held }),
  Type.Object({ kind: Type.Literal('propose'), proposal: ProposalSchema }),
]);
const ruled = { proposal: ProposalSchema, rule: Type.String(), reason: Type.String() };
const GuardedSchema = Type.Union([
  Type.Object({ kind: Type.Literal('pass'), proposal: ProposalSchema }),
  Type.Object({ kind: Type.Literal('changed'), ...ruled }),
  Type.Object({ kind: Type.Literal('veto'), ...ruled }),
]);
const NullableGuardedSchema: TUnsafe<Static<typeof GuardedSchema> | null> = orNull(GuardedSchema);

export const ExplanationSchema = Type.Object({
  at: Type.String({ description: 'Wall clock, ISO 8601.' }),
  model: Type.String(),
  decision: DecisionSchema,
  guarded: NullableGuardedSchema,
  result: oneOf(['held', 'vetoed', 'applied', 'refused']),
});

/** `GET /v1/explain`, newest first. */
export const ExplainBodySchema = Type.Object({ explanations: Type.Array(ExplanationSchema) });
