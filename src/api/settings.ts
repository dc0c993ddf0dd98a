// Settings in force, and the answer to a change of them.
import { type Static, Type } from 'typebox';
import { mapOf, oneOf } from '../config/schema.ts';
import { SettingsSchema } from '../config/settings.ts';
import type { SettingsSource } from '../core/settings.ts';

const SOURCES: readonly SettingsSource[] = [
  'start',
  'restored',
  'user',
  'decider',
  'reflex',
  'coordinator',
  'rollback',
];

export const SourceSchema = oneOf<SettingsSource>(SOURCES);

export const VersionSchema = Type.Object({
  settings: SettingsSchema,
  generation: Type.Integer({ minimum: 1, description: 'Grows by one at every change of this model, from 1 at start.' }),
  source: SourceSchema,
});

/** `GET /v1/settings` */
export const SettingsBodySchema = Type.Object({ models: mapOf<Static<typeof VersionSchema>>(VersionSchema) });

/** The answer to `PUT /v1/settings` and `POST /v1/rollback`. */
export const ChangeBodySchema = Type.Object({
  model: Type.String(),
  result: oneOf(['applied', 'trial', 'unchanged'], {
    description:
      'applied: in force and watched; trial: under trial, the old ones are in force; unchanged: in force already.',
  }),
  settings: SettingsSchema,
  generation: Type.Integer({ minimum: 1 }),
  source: SourceSchema,
});

export type ChangeBody = Static<typeof ChangeBodySchema>;
