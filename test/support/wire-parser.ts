// HTTP/1.1 messages by our own strict reading, for both directions: what a test believes must not come from the parsers
// that the agent itself uses. Nothing is repaired; a doubt is a fault, and after a fault nothing is read any more.

/** How a message said where it ends; `close` = an answer that ends with its connection. */
export type Framing = 'none' | 'length' | 'chunked' | 'close';

export interface WireMessage {
  /** Request line or status line. */
  readonly start: string;
  /** Name, value pairs as they came, latin1; values without the space around them. */
  readonly headers: readonly (readonly [string, string])[];
  /** Everything up to and with the blank line. */
  readonly head: string;
  readonly framing: Framing;
  /** Decoded; complete when `message` is told. */
  readonly body: Buffer;
}

export interface WireEvents {
  /** The head is whole, the body may not be. */
  head?(message: WireMessage): void;
  /** An answer of 1xx. */
  interim?(message: WireMessage): void;
  message(message: WireMessage): void;
  /** Bytes that are no message; told once, last. */
  fault(reason: string): void;
}

type State = 'head' | 'length' | 'size' | 'data' | 'data-end' | 'trailer' | 'close' | 'broken';

const HEAD_BYTES_MAX = 64 << 10;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
// eslint-disable-next-line no-control-regex
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^(?:0|[1-9]\d{0,14})$/;
/** Extensions are allowed on a caller's side; the agent itself never writes any. */
const SIZE = /^([0-9A-Fa-f]{1,12})(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

export class WireParser {
  readonly #kind: 'request' | 'answer' | 'caller';
  readonly #events: WireEvents;
  #state: State = 'head';
  #pending: Buffer = Buffer.alloc(0);
  #message: (Omit<WireMessage, 'body'> & { body: Buffer }) | null = null;
  #parts: Buffer[] = [];
  #missing = 0;
  /** Answers to HEAD have none, whatever their head says; set before the answer comes. */
  isBodyless = false;

  constructor(kind: 'request' | 'answer' | 'caller', events: WireEvents) {
    this.#kind = kind;
    this.#events = events;
  }

  /** True between two messages: an end of the connection loses nothing. */
  get isIdle(): boolean {
    return this.#state === 'head' && this.#pending.length === 0;
  }

  push(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#step());
  }

  /** The connection ended. True when nothing was left half said. */
  end(): boolean {
    if (this.#state === 'close') {
      this.#finish();
      return true;
    }
    return this.isIdle;
  }

  /** True: there may be more to read. */
  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#readHead();
      case 'length':
        return this.#readData('head');
      case 'size':
        return this.#readSize();
      case 'data':
        return this.#readData('data-end');
      case 'data-end':
        return this.#readDataEnd();
      case 'trailer':
        return this.#readTrailer();
      case 'close':
        this.#parts.push(this.#pending);
        this.#pending = Buffer.alloc(0);
        return false;
      case 'broken':
        return false;
      default:
        return this.#state satisfies never;
    }
  }

  #readHead(): boolean {
    if (this.#kind === 'caller') this.#skipEmptyLines();
    if (this.#pending.length === 0) return false;
    const end = this.#pending.indexOf('\r\n\r\n');
    if (end === -1 || end > HEAD_BYTES_MAX) {
      if (this.#pending.length > HEAD_BYTES_MAX) return this.#break('a head over 64 KiB');
      // A line that is wrong already never becomes right, and waiting for its end would hide it.
      const eol = this.#pending.indexOf('\n');
      if (eol !== -1 && this.#pending[eol - 1] !== 0x0d) return this.#break('a line feed alone');
      return false;
    }
    const head = this.#pending.toString('latin1', 0, end + 4);
    this.#pending = this.#pending.subarray(end + 4);
    const [start = '', ...lines] = head.slice(0, -4).split('\r\n');
    const headers: [string, string][] = [];
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, Math.max(0, colon));
      const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
      if (!TOKEN.test(name) || !VALUE.test(value)) return this.#break(`header line ${JSON.stringify(line)}`);
      headers.push([name, value]);
    }
    const fault = this.#kind === 'answer' ? checkAnswer(start) : checkRequest(toHttp(start, this.#kind), headers);
    if (fault !== null) return this.#break(fault);
    return this.#begin({ start, headers, head });
  }

  #skipEmptyLines(): void {
    let at = 0;
    while (this.#pending[at] === 0x0d || this.#pending[at] === 0x0a) at += 1;
    this.#pending = this.#pending.subarray(at);
  }

  #begin(read: Pick<WireMessage, 'start' | 'headers' | 'head'>): boolean {
    const lengths = valuesOf(read.headers, 'content-length');
    const codings = valuesOf(read.headers, 'transfer-encoding');
    if (lengths.length > 1) return this.#break('two lengths');
    if (lengths.length === 1 && !LENGTH.test(lengths[0] ?? '')) return this.#break(`length ${lengths[0]}`);
    if (codings.length > 0 && (codings.length > 1 || codings[0] !== 'chunked'))
      return this.#break(`coding ${codings.join()}`);
    if (codings.length > 0 && lengths.length > 0) return this.#break('a coding beside a length');
    if (codings.length > 0 && read.start.includes('HTTP/1.0')) return this.#break('a coding in HTTP/1.0');
    const status = this.#kind === 'answer' ? Number(STATUS_LINE.exec(read.start)?.[1]) : 0;
    if (status >= 100 && status < 200) {
      this.#events.interim?.({ ...read, framing: 'none', body: Buffer.alloc(0) });
      return true;
    }
    const isBodyless = this.#kind === 'answer' && (this.isBodyless || status === 204 || status === 304);
    const framing: Framing = isBodyless
      ? 'none'
      : codings.length > 0
        ? 'chunked'
        : lengths.length > 0
          ? 'length'
          : this.#kind === 'answer'
            ? 'close'
            : 'none';
    this.#message = { ...read, framing, body: Buffer.alloc(0) };
    this.#parts = [];
    this.#events.head?.(this.#message);
    if (framing === 'chunked') this.#state = 'size';
    else if (framing === 'close') this.#state = 'close';
    else {
      this.#missing = framing === 'length' ? Number(lengths[0]) : 0;
      this.#state = 'length';
    }
    return true;
  }

  #readSize(): boolean {
    const line = this.#line();
    if (line === null) return false;
    const digits = SIZE.exec(line)?.[1];
    if (digits === undefined) return this.#break(`chunk size ${JSON.stringify(line)}`);
    this.#missing = Number.parseInt(digits, 16);
    this.#state = this.#missing === 0 ? 'trailer' : 'data';
    return true;
  }

  #readData(next: 'head' | 'data-end'): boolean {
    if (this.#missing > 0) {
      if (this.#pending.length === 0) return false;
      const part = this.#pending.subarray(0, this.#missing);
      this.#parts.push(part);
      this.#missing -= part.length;
      this.#pending = this.#pending.subarray(part.length);
      if (this.#missing > 0) return false;
    }
    if (next === 'head') this.#finish();
    else this.#state = next;
    return true;
  }

  #readDataEnd(): boolean {
    const line = this.#line();
    if (line === null) return false;
    if (line !== '') return this.#break('a chunk longer than it said');
    this.#state = 'size';
    return true;
  }

  #readTrailer(): boolean {
    const line = this.#line();
    if (line === null) return false;
    if (line === '') {
      this.#finish();
      return true;
    }
    const colon = line.indexOf(':');
    if (!TOKEN.test(line.slice(0, Math.max(0, colon))) || !VALUE.test(line.slice(colon + 1)))
      return this.#break('trailer');
    return true;
  }

  /** The next line without its end; null when it is not whole yet (or wrong, which breaks). */
  #line(): string | null {
    const feed = this.#pending.indexOf('\n');
    if (feed === -1) {
      if (this.#pending.length > HEAD_BYTES_MAX) this.#break('a line over 64 KiB');
      return null;
    }
    if (feed === 0 || this.#pending[feed - 1] !== 0x0d) {
      this.#break('a line feed alone');
      return null;
    }
    const line = this.#pending.toString('latin1', 0, feed - 1);
    this.#pending = this.#pending.subarray(feed + 1);
    return line;
  }

  #finish(): void {
    const message = this.#message!;
    message.body = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#message = null;
    this.#parts = [];
    this.#state = 'head';
    this.#events.message(message);
  }

  #break(reason: string): false {
    this.#state = 'broken';
    this.#events.fault(reason);
    return false;
  }
}

/** All values of a header, by lower-cased name. */
export function valuesOf(headers: WireMessage['headers'], lowerName: string): string[] {
  return headers.filter(([name]) => name.toLowerCase() === lowerName).map(([, value]) => value);
}

/** The status of an answer; 0 when the line is none. */
export function statusOf(message: WireMessage): number {
  return Number(STATUS_LINE.exec(message.start)?.[1] ?? 0);
}

/** Method and target of a request line. */
export function targetOf(message: WireMessage): { readonly method: string; readonly target: string } {
  const [method = '', target = ''] = message.start.split(/ +/);
  return { method, target };
}

function toHttp(start: string, kind: 'request' | 'caller'): string {
  if (kind === 'request') return start;
  return start
    .replace(/^([A-Z-]+) +/, '$1 ')
    .replace(/ +(?=HTTP\/1\.[01]$)/, ' ')
    .replace(/ +(?:RTSP|ICE)\/1\.0$/, ' HTTP/1.0');
}

function checkRequest(start: string, headers: WireMessage['headers']): string | null {
  if (!REQUEST_LINE.test(start)) return `request line ${JSON.stringify(start)}`;
  const hosts = valuesOf(headers, 'host').length;
  if (hosts > 1 || (hosts === 0 && start.endsWith('1.1'))) return `${hosts} hosts`;
  return null;
}

function checkAnswer(start: string): string | null {
  return STATUS_LINE.test(start) ? null : `status line ${JSON.stringify(start.slice(0, 80))}`;
}

/**
 * All requests that a caller's bytes hold by our reading, up to the first doubt. Here empty lines between requests are
 * skipped, and the names of HTTP's relatives count as HTTP/1.0: both can be read in one way only.
 */
export function parseRequests(bytes: Buffer): {
  readonly requests: readonly WireMessage[];
  readonly fault: string | null;
} {
  const requests: WireMessage[] = [];
  let fault: string | null = null;
  const parser = new WireParser('caller', {
    message: (message) => requests.push(message),
    fault: (reason) => (fault = reason),
  });
  parser.push(bytes);
  return { requests, fault };
}
