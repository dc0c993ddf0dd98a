// Request bodies: read whole up to a limit, or passed on as they come, also limited by counting.
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** How reading a body ended. */
export type Collected =
  | { readonly kind: 'whole'; readonly body: Buffer }
  | { readonly kind: 'too-large' }
  /** all bodies together take as much as they may */
  | { readonly kind: 'no-room' }
  /** the caller left, or its bytes were not HTTP */
  | { readonly kind: 'cut' };

/** What all bodies now in memory may take together; the one number that many large callers cannot pass. */
export interface BodyBudget {
  usedBytes: number;
  maxBytes: number;
}

const EMPTY = Buffer.alloc(0);

/**
 * Calls `done` exactly once. Counts bytes rather than trusting a header; past the limit nothing is kept.
 * The bytes of a whole body stay charged to `budget`: the caller gives them back when it lets go of the body.
 */
export function collectBody(
  request: IncomingMessage,
  limitBytes: number,
  budget: BodyBudget,
  done: (collected: Collected) => void,
): void {
  let first: Buffer | null = null;
  let more: Buffer[] | null = null;
  let bytes = 0;
  let isDone = false;
  const finish = (collected: Collected): void => {
    if (isDone) return;
    isDone = true;
    if (collected.kind !== 'whole') budget.usedBytes -= bytes;
    done(collected);
  };
  request.on('data', (chunk: Buffer) => {
    if (isDone) return;
    bytes += chunk.length;
    budget.usedBytes += chunk.length;
    if (bytes > limitBytes || budget.usedBytes > budget.maxBytes) {
      first = null;
      more = null;
      finish({ kind: bytes > limitBytes ? 'too-large' : 'no-room' });
    } else if (first === null) first = chunk;
    else if (more === null) more = [first, chunk];
    else more.push(chunk);
  });
  request.on('end', () => finish({ kind: 'whole', body: more === null ? (first ?? EMPTY) : Buffer.concat(more) }));
  // A cut body never emits `end`; `close` always comes, after it or instead.
  request.on('close', () => finish({ kind: 'cut' }));
  request.on('error', () => finish({ kind: 'cut' }));
}

/**
 * The caller's body as a stream of our own. Not the request itself: whoever destroys that destroys the caller's
 * connection with it, and an upstream fault must still be answered there. A body cut short or over the limit ends in
 * an error, so that the upstream socket is destroyed, never ended as if it were whole.
 */
export function toBodyStream(request: IncomingMessage, limitBytes: number, onTooLarge: () => void): Readable {
  let bytes = 0;
  const stream = new Readable({
    read() {
      request.resume();
    },
  });
  request.on('data', (chunk: Buffer) => {
    if (stream.destroyed) return;
    bytes += chunk.length;
    if (bytes > limitBytes) {
      onTooLarge();
      stream.destroy(new Error('body over the limit'));
    } else if (!stream.push(chunk)) request.pause();
  });
  request.on('end', () => stream.push(null));
  request.on('close', () => {
    if (!request.complete) stream.destroy(new Error('caller left'));
  });
  request.on('error', () => stream.destroy(new Error('caller left')));
  request.pause();
  return stream;
}
