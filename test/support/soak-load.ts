// Open load: requests leave at their moment, whatever became of those before, over connections kept alive. What each
// one came to is handed to the caller, who knows what is right.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectWire, type WireClient } from './wire-client.ts';
import { valuesOf, type WireMessage } from './wire-parser.ts';

/** One request and what came of it. Times are of performance.now(). */
export interface Sent {
  readonly index: number;
  readonly sentMs: number;
  readonly endedMs: number;
  /** Null: no answer; `why` says how that showed. */
  readonly answer: WireMessage | null;
  readonly why: 'answered' | 'refused' | 'closed' | 'cut' | 'silent' | 'not http';
}

/** What to send as number `index`, and where. */
export interface Ask {
  readonly port: number;
  readonly bytes: Buffer;
  /** Leave after so many ms without waiting for the answer. */
  readonly leaveAfterMs?: number;
}

export interface LoadOptions {
  readonly ratePerS: number;
  /** Called at the moment of sending; null ends the load. */
  readonly next: (index: number) => Ask | null;
  readonly done: (sent: Sent) => void;
  /** An answer that takes longer counts as silence. */
  readonly timeoutMs: number;
}

/** Resolves when all requests have ended. Late timers are caught up with: the rate holds on average. */
export async function runLoad({ ratePerS, next, done, timeoutMs }: LoadOptions): Promise<void> {
  const pools = new Map<number, WireClient[]>();
  const running = new Set<Promise<void>>();
  const startMs = performance.now();
  for (let index = 0; ; index++) {
    const waitMs = startMs + (index * 1000) / ratePerS - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    const ask = next(index);
    if (ask === null) break;
    const one = sendAndTell(pools, index, ask, { timeoutMs, done });
    running.add(one);
    void one.finally(() => running.delete(one));
  }
  await Promise.all(running);
  for (const pool of pools.values()) for (const client of pool) client.destroy();
}

async function sendAndTell(
  pools: Map<number, WireClient[]>,
  index: number,
  ask: Ask,
  { timeoutMs, done }: Pick<LoadOptions, 'timeoutMs' | 'done'>,
): Promise<void> {
  done(await send(pools, index, ask, timeoutMs));
}

async function send(pools: Map<number, WireClient[]>, index: number, ask: Ask, timeoutMs: number): Promise<Sent> {
  const sentMs = performance.now();
  const end = (why: Sent['why'], answer: WireMessage | null = null): Sent => ({
    index,
    sentMs,
    endedMs: performance.now(),
    answer,
    why,
  });
  const pool = pools.get(ask.port) ?? [];
  pools.set(ask.port, pool);
  let client = pool.pop();
  while (client?.isClosed === true) client = pool.pop();
  try {
    client ??= await connectWire(ask.port);
  } catch {
    return end('refused');
  }
  client.write(ask.bytes);
  if (ask.leaveAfterMs !== undefined) {
    await sleep(ask.leaveAfterMs);
    client.destroy();
    return end('closed');
  }
  const answer = await client.next(timeoutMs).catch(() => 'silent' as const);
  if (answer === 'silent' || client.fault !== null) {
    client.destroy();
    return end(client.fault === null ? 'silent' : 'not http');
  }
  if (answer === null) return end(client.isCut ? 'cut' : 'closed');
  // A connection that is announced to end is not used again; a balancer would not either.
  if (valuesOf(answer.headers, 'connection').some((value) => value.toLowerCase() === 'close')) client.destroy();
  else pool.push(client);
  return end('answered', answer);
}
