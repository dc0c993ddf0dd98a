// Log lines: one JSON object a line, safe to print whatever a caller sent us, and bounded in length and in rate.
import { MorphlingError } from './errors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Plain facts of a line. Never bodies, header values or tokens: names that look like one are masked. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Lines below it are dropped before they are formatted. */
  readonly level: LogLevel;
  /** Gets whole lines, newline included. Must not throw. */
  readonly write: (line: string) => void;
  /** Wall clock, ms since 1970. */
  readonly nowMs: () => number;
  /** On every line, such as `process: 'data'`. */
  readonly fields?: LogFields;
  /** More lines than this in one second are counted and named in one line instead. Default 200. */
  readonly maxLinesPerS?: number;
}

const MAX_VALUE_CHARS = 1024;
const SECRET_NAME = /token|authorization|cookie|secret|password|credential|body/i;

export function createLogger(options: LoggerOptions): Logger {
  const { level, write, nowMs, fields = {}, maxLinesPerS = 200 } = options;
  const least = LOG_LEVELS.indexOf(level);
  let second = -1;
  let linesInSecond = 0;
  let suppressed = 0;

  const emit = (lineLevel: LogLevel, message: string, own: LogFields, more: LogFields | undefined): void => {
    if (LOG_LEVELS.indexOf(lineLevel) < least) return;
    const atMs = nowMs();
    const thisSecond = Math.floor(atMs / 1000);
    if (thisSecond !== second) {
      if (suppressed > 0) write(formatLine(atMs, 'warn', 'log lines suppressed', { ...fields, lines: suppressed }));
      second = thisSecond;
      linesInSecond = 0;
      suppressed = 0;
    }
    if (++linesInSecond > maxLinesPerS) {
      suppressed++;
      return;
    }
    write(formatLine(atMs, lineLevel, message, more === undefined ? own : { ...own, ...more }));
  };

  const build = (own: LogFields): Logger => ({
    debug: (message, more) => emit('debug', message, own, more),
    info: (message, more) => emit('info', message, own, more),
    warn: (message, more) => emit('warn', message, own, more),
    error: (message, more) => emit('error', message, own, more),
    with: (more) => build({ ...own, ...more }),
  });
  return build(fields);
}

/** `{"time":"...","level":"info","message":"...",...fields}` and a newline; control characters escaped, so one line it stays. */
export function formatLine(atMs: number, level: LogLevel, message: string, fields: LogFields): string {
  const line: Record<string, unknown> = { time: new Date(atMs).toISOString(), level, message: cut(message) };
  for (const [name, value] of Object.entries(fields)) {
    if (name in line) continue;
    line[name] = SECRET_NAME.test(name) ? '[masked]' : toPlain(value);
  }
  return `${escapeControls(JSON.stringify(line))}\n`;
}

function toPlain(value: unknown): unknown {
  if (typeof value === 'string') return cut(value);
  if (value instanceof Error) {
    return { message: cut(value.message), ...(value instanceof MorphlingError ? { code: value.code } : {}) };
  }
  if (typeof value === 'object' && value !== null) {
    try {
      // Masked at every depth: a field of a field may be the secret.
      const text = JSON.stringify(value, (name, inner: unknown) => (SECRET_NAME.test(name) ? '[masked]' : inner));
      return text.length <= 4 * MAX_VALUE_CHARS ? (JSON.parse(text) as unknown) : cut(text);
    } catch {
      return '[not printable]';
    }
  }
  return typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function' ? String(value) : value;
}

function cut(text: string): string {
  return text.length <= MAX_VALUE_CHARS ? text : `${text.slice(0, MAX_VALUE_CHARS)}… (${text.length} characters)`;
}

/** JSON escapes what is below 0x20; terminals also act on DEL, C1 controls, line separators and text direction marks. */
function escapeControls(json: string): string {
  return json.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what it is for
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
