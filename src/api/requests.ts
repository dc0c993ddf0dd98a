// Small bodies and answers of the control API: bypass, session, readiness.
import { type Static, Type } from 'typebox';

/** `POST /v1/bypass` */
export const BypassRequestSchema = Type.Object({ on: Type.Boolean() }, { additionalProperties: false });
export type BypassRequest = Static<typeof BypassRequestSchema>;

/** The answer to bypass, pause and resume. */
export const SwitchesBodySchema = Type.Object({ isBypass: Type.Boolean(), isPaused: Type.Boolean() });
export type SwitchesBody = Static<typeof SwitchesBodySchema>;

/** `POST /v1/session`: the token in the Authorization header buys a cookie, since a page cannot set headers on a stream. */
export const SessionBodySchema = Type.Object({ expiresInS: Type.Integer({ minimum: 1 }) });

/** `GET /ready`; status 503 while not ready. */
export const ReadyBodySchema = Type.Object({
  isReady: Type.Boolean(),
  agent: Type.Boolean(),
  model: Type.Boolean(),
  reason: Type.String({ description: 'Empty when ready.' }),
});
export type ReadyBody = Static<typeof ReadyBodySchema>;
