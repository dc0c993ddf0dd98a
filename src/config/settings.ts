// From whatever a person sends to whole Settings within the bounds of the policy.
import { type Static, type TSchema, Type } from 'typebox';
import { MorphlingError, formatIssue } from '../core/errors.ts';
import { type Bounds, type Settings, checkSettings } from '../core/settings.ts';
import { checkValue } from './check.ts';
import { freezeDeep } from './freeze.ts';
import { mapOf } from './schema.ts';

const batchSize = Type.Integer({
  minimum: 1,
  description: 'Most items in one upstream call; a larger request goes alone.',
});
const batchDelayMs = Type.Number({
  minimum: 0,
  description: 'Longest wait of the oldest item for company, ms; 0: none.',
});
const concurrency = Type.Integer({ minimum: 1, description: 'Upstream calls in flight for this model.' });
const switches = mapOf<boolean>(Type.Boolean());

/** Whole settings, as they are in force. */
export const SettingsSchema = Type.Object(
  { batchSize, batchDelayMs, concurrency, switches },
  { additionalProperties: false },
);

/** What may be sent: any part; what is not given stays as it is. */
export const SettingsPatchSchema: TSchema = Type.Object(
  {
    batchSize: Type.Optional(batchSize),
    batchDelayMs: Type.Optional(batchDelayMs),
    concurrency: Type.Optional(concurrency),
    switches: Type.Optional(switches),
  },
  { additionalProperties: false },
);

/**
 * The input laid over `current`, switch by switch. Throws BAD_SETTINGS with every bad field: a person's wrong
 * number is refused, never silently clamped.
 */
export function parseSettings(input: unknown, current: Settings, bounds: Bounds): Settings {
  let issues = checkValue(SettingsPatchSchema, input);
  if (issues.length === 0) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the check above is the proof
    const patch = input as Partial<Static<typeof SettingsSchema>>;
    const settings = { ...current, ...patch, switches: { ...current.switches, ...patch.switches } };
    issues = checkSettings(settings, bounds);
    if (issues.length === 0) return freezeDeep(settings);
  }
  throw new MorphlingError('BAD_SETTINGS', `settings: ${issues.map(formatIssue).join('; ')}`, { issues });
}
