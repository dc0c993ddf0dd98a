// A caller driven by hand: writes the bytes it is told and keeps what comes back.
import { connect, type Socket } from 'node:net';

export interface RawClient {
  readonly socket: Socket;
  /** Everything received, latin1. */
  readonly received: string;
  readonly isClosed: boolean;
  write(bytes: string | Buffer): void;
  /** Resolves with what was received once it matches; rejects after `timeoutMs`. */
  until(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Resolves when the other side has closed. */
  closed(timeoutMs?: number): Promise<string>;
  destroy(): void;
}

export async function connectRaw(port: number, host = '127.0.0.1'): Promise<RawClient> {
  const socket = connect({ port, host });
  let received = '';
  let isClosed = false;
  const watchers = new Set<() => void>();
  const wake = (): void => {
    for (const watcher of watchers) watcher();
  };
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    wake();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const wait = (isDone: () => boolean, what: string, timeoutMs: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        watchers.delete(check);
        reject(new Error(`no ${what} within ${timeoutMs} ms; received ${JSON.stringify(received.slice(0, 2000))}`));
      }, timeoutMs);
      const check = (): void => {
        if (!isDone()) return;
        clearTimeout(timer);
        watchers.delete(check);
        resolve(received);
      };
      watchers.add(check);
      check();
    });
  return {
    socket,
    get received() {
      return received;
    },
    get isClosed() {
      return isClosed;
    },
    write: (bytes) => socket.write(bytes, 'latin1'),
    until: (pattern, timeoutMs = 5000) => wait(() => pattern.test(received), String(pattern), timeoutMs),
    closed: (timeoutMs = 5000) => wait(() => isClosed, 'end of the connection', timeoutMs),
    destroy: () => socket.destroy(),
  };
}
