// The control API: routes, and what stands before them. Every word of the answers is in src/api.
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import { type BypassRequest, BypassRequestSchema, type SwitchesBody } from '../../src/api/requests.ts';
import { toOpenApi } from '../../src/api/openapi.ts';
import type { ChangeBody } from '../../src/api/settings.ts';
import { checkValue } from '../../src/config/check.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { MorphlingError } from '../../src/core/errors.ts';
import { AccessControl } from './access.ts';
import type { ChangeOutcome, ControlDeps, ControlledModel } from './deps.ts';
import { type ControlEnv, guard } from './guard.ts';
import { badQuery, readBody, readFlag, readLimit, readNoBody, readQuery } from './input.ts';
import { toProblem } from './problem.ts';
import { SESSION_S, Sessions } from './sessions.ts';

/** Never listens by itself: `listen.ts` does. */
export function createControlApp(deps: ControlDeps): Hono<ControlEnv> {
  const app = new Hono<ControlEnv>();
  const sessions = new Sessions();
  guard(app, deps, new AccessControl(deps.token, sessions));

  app.get('/live', (c) => c.json({ isReady: true, agent: true, model: deps.readiness().model, reason: '' }));
  app.get('/ready', (c) => {
    const ready = deps.readiness();
    return c.json(ready, ready.isReady ? 200 : 503);
  });
  app.get('/openapi.json', (c) => c.json(toOpenApi(deps.version)));

  app.get('/v1/status', (c) => c.json(deps.status()));
  app.get('/v1/settings', (c) =>
    c.json({ models: Object.fromEntries(deps.models().map(({ model, version }) => [model, version])) }),
  );
  app.put('/v1/settings', async (c) => {
    const query = readQuery(c, ['model', 'immediate']);
    const isImmediate = readFlag(query['immediate']);
    const { model, version, bounds } = pickModel(deps, query['model']);
    const settings = parseSettings(await readBody(c), version.settings, bounds);
    return c.json(toChange(model, await deps.putSettings(model, settings, isImmediate)));
  });
  app.post('/v1/rollback', async (c) => {
    const { model } = pickModel(deps, readQuery(c, ['model'])['model']);
    await readNoBody(c);
    return c.json(toChange(model, await deps.rollBack(model)));
  });

  app.get('/v1/policy', (c) => c.json(deps.policy()));
  app.put('/v1/policy', async (c) => {
    readQuery(c, []);
    deps.putPolicy(parsePolicy(await readBody(c), deps.policy()));
    return c.json(deps.policy());
  });

  const switches = (): SwitchesBody => ({ isBypass: deps.isBypass(), isPaused: deps.isPaused() });
  for (const [path, isPaused] of [
    ['/v1/pause', true],
    ['/v1/resume', false],
  ] as const) {
    app.post(path, async (c) => {
      readQuery(c, []);
      await readNoBody(c);
      deps.setPaused(isPaused);
      return c.json(switches());
    });
  }
  app.post('/v1/bypass', async (c) => {
    readQuery(c, []);
    const body = await readBody(c);
    const issues = checkValue(BypassRequestSchema, body);
    if (issues.length > 0)
      throw new MorphlingError('BAD_REQUEST', 'expected {"on": true} or {"on": false}', { issues });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the check above is the proof
    deps.setBypass((body as BypassRequest).on);
    return c.json(switches());
  });

  app.get('/v1/history', (c) => {
    const { model, limit } = readQuery(c, ['model', 'limit']);
    return c.json({ entries: deps.history({ limit: readLimit(limit), ...(model === undefined ? {} : { model }) }) });
  });
  app.get('/v1/explain', (c) => {
    const query = readQuery(c, ['model', 'limit']);
    const { model } = pickModel(deps, query['model']);
    return c.json({ explanations: deps.explain(model, readLimit(query['limit'])) });
  });
  app.get('/v1/snapshot', (c) => c.json({ snapshot: deps.snapshot() }));
  app.get('/v1/stream', (c) => {
    // A HEAD comes here too, and would hold a place without ever reading.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' });
    const last = Number(c.req.header('last-event-id') ?? Number.NaN);
    const lastId = Number.isSafeInteger(last) ? last : null;
    const isAttached = deps.stream.attach(c.env.outgoing, { event: 'hello', data: deps.status() }, lastId);
    if (isAttached) return RESPONSE_ALREADY_SENT;
    return toProblem('UNSUPPORTED', 'too many streams are open', { status: 503, headers: { 'retry-after': '5' } });
  });
  app.post('/v1/session', async (c) => {
    readQuery(c, []);
    await readNoBody(c);
    if (c.get('writer') !== 'token') throw new MorphlingError('UNAUTHORISED', 'a session is bought with the token');
    return c.json({ expiresInS: SESSION_S }, 201, { 'set-cookie': sessions.open(deps.nowMs()) });
  });
  return app;
}

function pickModel(deps: ControlDeps, name: string | undefined): ControlledModel {
  const models = deps.models();
  const names = models
    .map(({ model }) => model)
    .slice(0, 20)
    .join(', ');
  if (name === undefined) {
    const [only] = models;
    if (only === undefined) throw new MorphlingError('NOT_FOUND', 'no model has been seen yet');
    if (models.length > 1) throw badQuery('model', `one of ${names}, since there are several`, 'nothing');
    return only;
  }
  const found = models.find(({ model }) => model === name);
  if (found === undefined)
    throw new MorphlingError('NOT_FOUND', `no such model; there is ${names === '' ? 'none yet' : names}`);
  return found;
}

function toChange(model: string, outcome: ChangeOutcome): ChangeBody {
  if (outcome.kind === 'refused')
    throw new MorphlingError('BAD_SETTINGS', 'the settings were refused', { issues: outcome.issues });
  const { settings, generation, source } = outcome.version;
  return {
    model,
    result: outcome.kind,
    settings: { ...settings, switches: { ...settings.switches } },
    generation,
    source,
  };
}
