// Query and body of a request, read so that nothing in them is silently ignored.
import type { Context } from 'hono';
import { toUnknownKeyIssue } from '../../src/config/check.ts';
import { type Issue, MorphlingError } from '../../src/core/errors.ts';
import { readJsonBody } from './body.ts';

/** Carries the status of a body that could not be taken from the reader to `onError`. */
export class RefusedBody extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** A JSON body; throws BAD_REQUEST or RefusedBody. */
export async function readBody(c: Context): Promise<unknown> {
  const body = await readJsonBody(c.req.raw);
  if (body.kind === 'refused') throw new RefusedBody(body.status, body.reason);
  if (body.kind === 'empty') throw new MorphlingError('BAD_REQUEST', 'a JSON body is needed');
  return body.value;
}

/** `{}` is taken for none: some clients cannot send nothing. */
export async function readNoBody(c: Context): Promise<void> {
  const body = await readJsonBody(c.req.raw);
  if (body.kind === 'refused') throw new RefusedBody(body.status, body.reason);
  if (body.kind === 'value' && JSON.stringify(body.value) !== '{}')
    throw new MorphlingError('BAD_REQUEST', 'no body is expected');
}

/** A parameter that nothing reads would be a setting that does nothing. */
export function readQuery(c: Context, known: readonly string[]): Readonly<Record<string, string | undefined>> {
  const query = c.req.queries();
  const issues: Issue[] = [];
  for (const [name, values] of Object.entries(query)) {
    if (!known.includes(name)) issues.push(toUnknownKeyIssue('', name, known));
    else if (values.length > 1) issues.push({ field: name, expected: 'one value', got: `${values.length} values` });
  }
  if (issues.length > 0) throw new MorphlingError('BAD_REQUEST', 'the query is not understood', { issues });
  return Object.fromEntries(Object.entries(query).map(([name, values]) => [name, values[0]]));
}

/** `?immediate` and `?immediate=true` are true. */
export function readFlag(text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true' || text === '') return true;
  throw badQuery('immediate', 'true or false', text);
}

/** 1 to 1000, 100 when not given. */
export function readLimit(text: string | undefined): number {
  if (text === undefined) return 100;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit;
  throw badQuery('limit', 'a whole number from 1 to 1000', text);
}

/** The error for one bad parameter. */
export function badQuery(field: string, expected: string, got: string): MorphlingError {
  return new MorphlingError('BAD_REQUEST', 'the query is not understood', {
    issues: [{ field, expected, got: got.slice(0, 80) }],
  });
}
