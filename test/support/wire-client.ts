// A caller that believes nothing: one connection, one request at a time unless told otherwise, and every byte that comes
// without having been asked for is kept as evidence.
import { connect, type Socket } from 'node:net';
import { valuesOf, WireParser, type WireMessage } from './wire-parser.ts';

export interface WireClient {
  readonly socket: Socket;
  /** Whole answers so far. */
  readonly answers: WireMessage[];
  /** Answers of 1xx so far. */
  readonly interims: WireMessage[];
  /** Why what came is no answer, or came unasked; null when all is well. */
  readonly fault: string | null;
  /** Bytes received. */
  readonly receivedBytes: number;
  readonly isClosed: boolean;
  /** The connection ended in the middle of an answer. */
  readonly isCut: boolean;
  /** Writes bytes that hold `asks` requests; HEAD must be announced, since its answers have no body. */
  write(bytes: string | Buffer, asks?: number, isHead?: boolean): void;
  /** The next whole answer; null when the connection ends without one. Rejects after `timeoutMs`. */
  next(timeoutMs?: number): Promise<WireMessage | null>;
  /** Resolves when `isDone` holds, looked at after every event; false after `timeoutMs`. */
  until(isDone: () => boolean, timeoutMs: number): Promise<boolean>;
  destroy(): void;
}

export async function connectWire(port: number): Promise<WireClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const answers: WireMessage[] = [];
  const interims: WireMessage[] = [];
  const watchers = new Set<() => void>();
  let asked = 0;
  let taken = 0;
  let fault: string | null = null;
  let receivedBytes = 0;
  let isClosed = false;
  let isCut = false;
  const wake = (): void => {
    for (const watcher of watchers) watcher();
  };
  const parser = new WireParser('answer', {
    head(message) {
      // A refusal of bytes that were no whole request is an answer too, but then it is the last.
      if (answers.length >= Math.max(1, asked)) fault ??= `unasked answer ${message.start}`;
    },
    interim: (message) => interims.push(message),
    message: (message) => answers.push(message),
    fault: (reason) => (fault ??= reason),
  });
  socket.on('data', (bytes: Buffer) => {
    receivedBytes += bytes.length;
    parser.push(bytes);
    wake();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
    isCut = !parser.end();
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const until = (isDone: () => boolean, timeoutMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      if (isDone()) return resolve(true);
      const end = (result: boolean): void => {
        clearTimeout(timer);
        watchers.delete(check);
        resolve(result);
      };
      const check = (): void => {
        if (isDone()) end(true);
      };
      const timer = setTimeout(() => end(isDone()), timeoutMs);
      watchers.add(check);
    });
  return {
    socket,
    answers,
    interims,
    get fault() {
      return fault;
    },
    get receivedBytes() {
      return receivedBytes;
    },
    get isClosed() {
      return isClosed;
    },
    get isCut() {
      return isCut;
    },
    write(bytes, asks = 1, isHead = false) {
      asked += asks;
      parser.isBodyless = isHead;
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    },
    async next(timeoutMs = 10_000) {
      // Taken before waiting: two may wait at once, each for its own.
      const mine = taken++;
      const isThere = await until(() => answers.length > mine || isClosed || fault !== null, timeoutMs);
      if (!isThere) throw new Error(`no answer within ${timeoutMs} ms`);
      return answers[mine] ?? null;
    },
    until,
    destroy: () => socket.destroy(),
  };
}

/** A request with a length, as bytes. */
export function toRequest(
  method: string,
  target: string,
  body: string | Buffer | null,
  headers: readonly string[] = [],
): Buffer {
  const length = body === null ? [] : [`content-length: ${Buffer.byteLength(body)}`];
  const head = [`${method} ${target} HTTP/1.1`, 'host: model', ...headers, ...length, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body ?? '')]);
}

/** V1 inference with JSON instances. */
export function toPredict(instances: readonly unknown[], headers: readonly string[] = [], model = 'm'): Buffer {
  const all = ['content-type: application/json', ...headers];
  return toRequest('POST', `/v1/models/${model}:predict`, JSON.stringify({ instances }), all);
}

/** True when the agent says that it made this answer itself, and how. */
export function faultOf(answer: WireMessage): string | null {
  return valuesOf(answer.headers, 'x-morphling-error')[0] ?? null;
}
