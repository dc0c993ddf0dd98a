// What passes from one hop to the next: end-to-end headers only, framing never, in the order they came.

/** Headers that belong to one connection (RFC 9110 7.6.1), and those we make anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  'http2-settings',
]);

/** A caller's headers, read once. */
export interface RequestHeaders {
  /** Flat name, value pairs as the caller wrote them; hop-by-hop and framing headers are gone. */
  readonly forward: readonly string[];
  /** The values that must be equal for two requests to share a call, as one string. */
  readonly key: string;
}

/**
 * One pass over the raw headers. `keyNames` are lower-cased; every occurrence of a key header counts, so that two
 * `Authorization` lines never look like one.
 */
export function readRequestHeaders(
  raw: readonly string[],
  connection: string | undefined,
  keyNames: ReadonlySet<string>,
): RequestHeaders {
  const named = toConnectionNames(connection);
  const forward: string[] = [];
  let key = '';
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || named?.has(lower) === true) continue;
    forward.push(name, value);
    // A header value holds no line feed, so the joined string is unambiguous.
    if (keyNames.has(lower)) key += `${lower}:${value}\n`;
  }
  return { forward, key };
}

/** The head of an answer as it goes on to the caller. */
export interface AnswerHeaders {
  /** Flat name, value pairs; no framing. */
  readonly forward: readonly string[];
  /** As the model server wrote it; null when it framed the body otherwise. */
  readonly contentLength: string | null;
  /** False: the framing is not one we can pass on (a coding besides chunked, or chunked beside a length). */
  readonly isSound: boolean;
}

/** `raw` is undici's flat list of buffers, latin1 as HTTP has it. */
export function readAnswerHeaders(raw: readonly (Buffer | string)[]): AnswerHeaders {
  const forward: string[] = [];
  let contentLength: string | null = null;
  let coding: string | null = null;
  let connection: string | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = toText(raw[i]);
    const value = toText(raw[i + 1]);
    const lower = name.toLowerCase();
    if (!HOP_BY_HOP.has(lower)) forward.push(name, value);
    else if (lower === 'content-length') contentLength = value;
    else if (lower === 'transfer-encoding') coding = coding === null ? value : `${coding}, ${value}`;
    else if (lower === 'connection') connection = connection === undefined ? value : `${connection}, ${value}`;
  }
  const named = toConnectionNames(connection);
  return {
    forward: named === null ? forward : dropHeaders(forward, named),
    contentLength: coding === null ? contentLength : null,
    isSound: coding === null || (coding === 'chunked' && contentLength === null),
  };
}

/** A copy of a flat list without the named headers (lower-cased names). */
export function dropHeaders(flat: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i] ?? '';
    if (!names.has(name.toLowerCase())) kept.push(name, flat[i + 1] ?? '');
  }
  return kept;
}

/** The first value of a header in a flat list, by lower-cased name. */
export function findHeader(flat: readonly string[], lowerName: string): string | undefined {
  for (let i = 0; i + 1 < flat.length; i += 2) if (flat[i]?.toLowerCase() === lowerName) return flat[i + 1];
  return undefined;
}

/** The headers that every list holds with the same value: what a joined call may say in the name of all. */
export function toCommonHeaders(lists: readonly (readonly string[])[]): string[] {
  const [first, ...others] = lists;
  const common: string[] = [];
  if (first === undefined) return common;
  for (let i = 0; i + 1 < first.length; i += 2) {
    const name = first[i] ?? '';
    const value = first[i + 1] ?? '';
    if (others.every((other) => hasHeader(other, name, value, i))) common.push(name, value);
  }
  return common;
}

function hasHeader(flat: readonly string[], name: string, value: string, at: number): boolean {
  // Callers of one kind write their headers in one order, so this is nearly always the whole search.
  if (flat[at] === name && flat[at + 1] === value) return true;
  const lower = name.toLowerCase();
  for (let i = 0; i + 1 < flat.length; i += 2) {
    if (flat[i + 1] === value && flat[i]?.toLowerCase() === lower) return true;
  }
  return false;
}

/** Names listed in `Connection`, null when it says nothing but `keep-alive` or `close`. */
function toConnectionNames(connection: string | undefined): ReadonlySet<string> | null {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return null;
  return new Set(connection.split(',').map((token) => token.trim().toLowerCase()));
}

function toText(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '');
}
