// The command line's one HTTP client: JSON in and out, failures as the codes that exit codes are made of.
import { Agent, request } from 'undici';
import { ERROR_CODES, MorphlingError, type ErrorCode } from '../core/errors.ts';

export interface HttpOptions {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Bearer token, sent with every request. */
  readonly token?: string;
}

export interface Http {
  getJson(path: string): Promise<unknown>;
  putJson(path: string, body: unknown): Promise<unknown>;
  postJson(path: string, body?: unknown): Promise<unknown>;
}

/** More than any answer of ours has; a wrong port may stream forever. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

/**
 * A client of one origin. Throws UNREACHABLE when nothing listens, TIMED_OUT, UNAUTHORISED for 401 and 403,
 * NOT_FOUND for 404, else INTERNAL or BAD_REQUEST with the problem's own words.
 */
export function createHttp(origin: string, options: HttpOptions): Http {
  const dispatcher = new Agent({
    connect: { timeout: options.timeoutMs },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    maxResponseSize: ANSWER_BYTES_MAX,
  });
  const ask = async (method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown): Promise<unknown> => {
    const timeout = AbortSignal.timeout(options.timeoutMs);
    try {
      const answer = await request(origin + path, {
        dispatcher,
        method,
        signal: AbortSignal.any([timeout, options.signal]),
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      const document = parse(text);
      if (answer.statusCode >= 200 && answer.statusCode < 300) {
        if (document === undefined && text !== '')
          throw new MorphlingError(
            'BAD_RESPONSE',
            `${origin}${path} did not answer in JSON: is it an agent's control port?`,
          );
        return document;
      }
      throw toProblem(`${origin}${path}`, answer.statusCode, document);
    } catch (error) {
      throw toError(error, origin, options.timeoutMs);
    }
  };
  return {
    getJson: (path) => ask('GET', path),
    putJson: (path, body) => ask('PUT', path, body),
    postJson: (path, body) => ask('POST', path, body),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Told apart from `null` by the caller.
    return undefined;
  }
}

/** RFC 9457: `detail` says it best, then `title`. */
function toProblem(url: string, status: number, document: unknown): MorphlingError {
  const { detail, title, code } = isRecord(document) ? document : {};
  const words = [detail, title].find((text): text is string => typeof text === 'string' && text !== '');
  const message = words ?? `${url} answered ${status}`;
  const issues = toIssues(document);
  if (status === 401 || status === 403)
    return new MorphlingError(
      'UNAUTHORISED',
      `${message} (the token is read from the agent's state folder: --state-dir or --token-file)`,
    );
  if (isErrorCode(code)) return new MorphlingError(code, message, { issues });
  if (status === 404) return new MorphlingError('NOT_FOUND', message);
  if (status === 504 || status === 408) return new MorphlingError('TIMED_OUT', message);
  return new MorphlingError(status < 500 ? 'BAD_REQUEST' : 'INTERNAL', message, { issues });
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
}

function toIssues(document: unknown): { field: string; expected: string; got: string }[] {
  const issues = isRecord(document) ? document['issues'] : undefined;
  if (!Array.isArray(issues)) return [];
  return issues
    .filter(isRecord)
    .map(({ field, expected, got }) => ({ field: String(field), expected: String(expected), got: String(got) }));
}

function toError(error: unknown, origin: string, timeoutMs: number): unknown {
  if (error instanceof MorphlingError) return error;
  const name = error instanceof Error ? error.name : '';
  const code = isRecord(error) ? String(error['code']) : '';
  if (
    name === 'TimeoutError' ||
    code.startsWith('UND_ERR_HEADERS_TIMEOUT') ||
    code === 'UND_ERR_BODY_TIMEOUT' ||
    code === 'UND_ERR_CONNECT_TIMEOUT'
  )
    return new MorphlingError('TIMED_OUT', `${origin} did not answer within ${timeoutMs / 1000} s`, { cause: error });
  if (name === 'AbortError') return error;
  const why =
    code === 'ECONNREFUSED'
      ? 'nothing listens there'
      : code || (error instanceof Error ? error.message : String(error));
  return new MorphlingError('UNREACHABLE', `${origin} cannot be reached: ${why}`, { cause: error });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
