// Events of `GET /v1/stream`.
import { type Static, Type } from 'typebox';
import { ExplanationSchema } from './explain.ts';
import { HistoryEntrySchema } from './history.ts';
import { SwitchesBodySchema } from './requests.ts';
import { SnapshotSchema } from './snapshot.ts';
import { StatusBodySchema } from './status.ts';

/** By event name. `hello` comes first, with the status; then whatever happens. */
export const StreamEventSchemas = {
  hello: StatusBodySchema,
  snapshot: SnapshotSchema,
  change: HistoryEntrySchema,
  explain: ExplanationSchema,
  switches: SwitchesBodySchema,
} as const;

type StreamEventName = keyof typeof StreamEventSchemas;
export type StreamEvent = {
  [Name in StreamEventName]: { readonly event: Name; readonly data: Static<(typeof StreamEventSchemas)[Name]> };
}[StreamEventName];

/** Named in the OpenAPI document. */
export const StreamSchema = Type.String({
  description: `Server-sent events: ${Object.keys(StreamEventSchemas).join(', ')}.`,
});
