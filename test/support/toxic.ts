// A TCP proxy that is a bad network: late, slow, choppy, deaf, or gone. Put it between any two peers and change `toxic`
// while connections are open.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** All at once if wanted; an empty object is a good network. */
export interface Toxic {
  /** Each piece is late by this, ms, one way. */
  readonly latencyMs?: number;
  /** ...and by up to this more, drawn anew for each piece; the order of bytes stays. */
  readonly jitterMs?: number;
  /** One way, for each connection. */
  readonly bytesPerS?: number;
  /** The connection is reset after so many bytes towards the caller. */
  readonly resetAfterBytes?: number;
  /** Pieces of at most so many bytes, each written by itself. */
  readonly sliceBytes?: number;
  /** `answers`: nothing comes back, not even an end, as when the peer has vanished; `all`: nothing goes either way. */
  readonly drops?: 'answers' | 'all';
  /** An end of the target's side reaches the caller so much later, ms. */
  readonly slowCloseMs?: number;
}

export interface ToxicProxy {
  readonly port: number;
  readonly origin: string;
  toxic: Toxic;
  readonly connections: number;
  /** Closes the door and every connection. */
  close(): Promise<void>;
}

/** Above this much undelivered the sender is paused, as a full network would. */
const QUEUE_MAX_BYTES = 256 << 10;

export async function startToxic(targetPort: number, first: Toxic = {}): Promise<ToxicProxy> {
  const pairs = new Set<Socket>();
  const proxy: { toxic: Toxic } = { toxic: first };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    const target = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const socket of [caller, target]) {
      pairs.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => pairs.delete(socket));
    }
    pump(caller, target, () => proxy.toxic, false);
    pump(target, caller, () => proxy.toxic, true);
    caller.once('close', () => target.destroy());
    target.once('close', (hadError) => {
      // A reset of the target is a reset to the caller, unless nothing comes back at all.
      if (hadError && proxy.toxic.drops === undefined) caller.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.defineProperties(proxy, {
    port: { value: port },
    origin: { value: `http://127.0.0.1:${port}` },
    connections: { get: () => pairs.size / 2 },
    close: {
      value: () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          for (const socket of pairs) socket.destroy();
        }),
    },
  }) as unknown as ToxicProxy;
}

/** Carries bytes one way. Every piece has a moment at which it may leave, and none overtakes another. */
function pump(from: Socket, to: Socket, toxicNow: () => Toxic, isAnswer: boolean): void {
  /** One queue and one timer: two timers of nearly the same moment may fire in either order. Null is the end. */
  const queue: { readonly dueMs: number; readonly piece: Buffer | null; readonly resetAfter: number }[] = [];
  let timer: NodeJS.Timeout | null = null;
  let lastDueMs = 0;
  let queuedBytes = 0;
  let passedBytes = 0;

  const deliver = (piece: Buffer, resetAfter: number): void => {
    const left = resetAfter - passedBytes;
    passedBytes += piece.length;
    if (to.destroyed) return;
    if (left > piece.length) to.write(piece);
    else to.write(piece.subarray(0, Math.max(0, left)), () => to.resetAndDestroy());
  };

  const drain = (): void => {
    timer = null;
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        timer = setTimeout(drain, waitMs);
        break;
      }
      queue.shift();
      queuedBytes -= next.piece?.length ?? 0;
      if (next.piece === null) to.end();
      else deliver(next.piece, next.resetAfter);
    }
    if (queuedBytes < QUEUE_MAX_BYTES && from.isPaused()) from.resume();
  };

  const put = (piece: Buffer | null, dueMs: number, resetAfter = Infinity): void => {
    lastDueMs = Math.max(lastDueMs, dueMs);
    queue.push({ dueMs: lastDueMs, piece, resetAfter });
    queuedBytes += piece?.length ?? 0;
    if (queuedBytes >= QUEUE_MAX_BYTES) from.pause();
    if (timer === null) drain();
  };

  const isDropped = ({ drops }: Toxic): boolean => drops === 'all' || (drops === 'answers' && isAnswer);
  from.on('data', (bytes: Buffer) => {
    const toxic = toxicNow();
    if (isDropped(toxic)) return;
    const { latencyMs = 0, jitterMs = 0, bytesPerS = Infinity, sliceBytes = bytes.length } = toxic;
    for (let start = 0; start < bytes.length; start += sliceBytes) {
      const piece = bytes.subarray(start, start + sliceBytes);
      const freeMs = Math.max(lastDueMs, performance.now() + latencyMs + Math.random() * jitterMs);
      put(piece, freeMs + (piece.length / bytesPerS) * 1000, isAnswer ? toxic.resetAfterBytes : Infinity);
    }
  });
  from.on('end', () => {
    const toxic = toxicNow();
    if (!isDropped(toxic)) put(null, performance.now() + (isAnswer ? (toxic.slowCloseMs ?? 0) : 0));
  });
}
