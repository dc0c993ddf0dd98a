// What stands before every route of the control port, and what turns a fault into an answer.
import type { HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { MorphlingError, toMessage } from '../../src/core/errors.ts';
import type { AccessControl } from './access.ts';
import type { ControlDeps } from './deps.ts';
import { RefusedBody } from './input.ts';
import { errorToProblem, toProblem } from './problem.ts';

/** `writer`: who was let in, by token or session; `nobody` for a read. */
export interface ControlEnv {
  Bindings: HttpBindings;
  Variables: { writer: 'nobody' | 'token' | 'session' };
}

/** Access first, an audit line for every write, problems for everything that is no answer. */
export function guard(app: Hono<ControlEnv>, { log, nowMs }: ControlDeps, access: AccessControl): void {
  app.use(async (c, next) => {
    const { method } = c.req;
    const header = (name: string): string | undefined => c.req.header(name);
    const verdict = access.check(
      {
        method,
        host: header('host'),
        origin: header('origin'),
        authorization: header('authorization'),
        cookie: header('cookie'),
      },
      nowMs(),
    );
    if (verdict.kind === 'refused') {
      const { status, reason } = verdict;
      if (verdict.isCounted) log.warn('control access refused', { method, path: c.req.path, status, reason });
      // The body is not read, so the connection cannot be used for another request.
      const challenge =
        status === 401 ? { 'www-authenticate': 'Bearer' } : status === 429 ? { 'retry-after': '1' } : {};
      return toProblem('UNAUTHORISED', reason, { status, headers: { ...challenge, connection: 'close' } });
    }
    c.set('writer', verdict.by);
    await next();
    c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
    if (verdict.by !== 'nobody') {
      const model = c.req.query('model');
      log.info('control write', {
        method,
        path: c.req.path,
        status: c.res.status,
        by: verdict.by,
        ...(model === undefined ? {} : { model }),
      });
    }
    return undefined;
  });
  app.notFound((c) => toProblem('NOT_FOUND', `there is no ${c.req.method} ${c.req.path}`));
  app.onError((error) => {
    if (error instanceof RefusedBody) {
      return toProblem('BAD_REQUEST', error.message, {
        status: error.status,
        headers: error.status === 413 ? { connection: 'close' } : {},
      });
    }
    if (!(error instanceof MorphlingError)) log.error('control request failed', { reason: toMessage(error) });
    return errorToProblem(error);
  });
}
