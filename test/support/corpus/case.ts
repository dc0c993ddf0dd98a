// What a corpus case is: bytes a caller may send, and what must come of them.

/**
 * - `ok`: reaches the model server once, whole, framed anew, and is answered
 * - a number: the agent itself refuses with that status; nothing whole reaches the model server
 * - `closed`: the connection is closed without a word
 * - `wait`: not a whole request yet; nothing is said before the caller ends, nothing reaches the model server
 * - `cut`: the connection is closed before all answers are out, and nothing but `passed` reached the model server
 */
export type Verdict = 'ok' | 'wait' | 'closed' | 'cut' | number;

/** What the model server must see of a request that passes. */
export interface Passed {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

export interface WireCase {
  /** Unique over the corpus. */
  readonly name: string;
  readonly group: string;
  /** latin1; `{path}` and `{tag}` are filled in. */
  readonly raw: string;
  /** Several when a case may rightly end in more than one way; the first is the usual one. */
  readonly verdicts: readonly Verdict[];
  /** In order, for `ok`. */
  readonly passed: readonly Passed[];
  /** What follows the request is no request: after its answers the connection must end. */
  readonly endsAfter: boolean;
}

/** A path that is collected and may be batched, and one that is streamed. */
export const PATHS = { batched: '/v1/models/m:predict', streamed: '/v1/raw' } as const;

/** The bytes of a case. */
export function toBytes({ raw }: WireCase, path: string, tag: string): Buffer {
  return Buffer.from(raw.replaceAll('{path}', path).replaceAll('{tag}', tag), 'latin1');
}

/** A second request hidden in a body. */
export const HIDDEN = 'GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n';

type Row = readonly [name: string, text: string, verdict: Verdict | readonly Verdict[], body?: string, sent?: string];

/** POST cases that differ in their header lines: [name, lines, verdict, body, body as it must arrive]. */
export function posts(group: string, rows: readonly Row[], options: { readonly body?: string } = {}): WireCase[] {
  return rows.map(([name, lines, verdict, body = options.body ?? 'hello', sent = body]) =>
    toCase(group, name, verdict, `POST {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n${lines}\r\n\r\n${body}`, [
      { method: 'POST', target: '{path}', body: sent },
    ]),
  );
}

/** GET cases that differ in their header lines. */
export function gets(group: string, rows: readonly Row[]): WireCase[] {
  return rows.map(([name, lines, verdict]) =>
    toCase(group, name, verdict, `GET {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n${lines}\r\n\r\n`, [
      { method: 'GET', target: '{path}', body: '' },
    ]),
  );
}

/** Cases that differ in their request line; `passed` is read off the line itself. */
export function lines(group: string, rows: readonly Row[]): WireCase[] {
  return rows.map(([name, line, verdict]) => {
    const [method = '', target = ''] = line.split(' ');
    return toCase(group, name, verdict, `${line}\r\nHost: m\r\nX-Case: {tag}\r\n\r\n`, [{ method, target, body: '' }]);
  });
}

/** Cases written out whole: [name, raw, verdict]. */
export function raws(
  group: string,
  rows: readonly (readonly [
    name: string,
    raw: string,
    verdict: Verdict | readonly Verdict[],
    passed?: readonly Passed[],
  ])[],
): WireCase[] {
  return rows.map(([name, raw, verdict, passed = []]) => toCase(group, name, verdict, raw, passed));
}

export function toCase(
  group: string,
  name: string,
  verdict: Verdict | readonly Verdict[],
  raw: string,
  passed: readonly Passed[],
  endsAfter = false,
): WireCase {
  const verdicts = typeof verdict === 'object' ? verdict : [verdict];
  const mayPass = verdicts.includes('ok') || verdicts.includes('cut');
  return { group, name: `${group}: ${name}`, raw, verdicts, passed: mayPass ? passed : [], endsAfter };
}
