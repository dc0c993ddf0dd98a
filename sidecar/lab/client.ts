// The demo's client: open loop, so a slow server cannot slow the load down and hide behind it.
import { Agent, request } from 'node:http';
import { monotonicClock, type Clock } from '../../src/core/clock.ts';
import { ClientMeter, type ClientSummary, type Fate } from './client-meter.ts';
import type { Payload } from './client-payload.ts';

export interface ClientOptions {
  /** Origin it asks: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly payload: Payload;
  /** Intended starts in seconds from now, never falling. */
  readonly timesS: Float64Array;
  /** Length of the schedule, s; what rates are divided by. */
  readonly durationS: number;
  readonly slaMs: number;
  /** An answer later than this is lost, ms from the intended start. */
  readonly timeoutMs: number;
  /** Watches while it runs. */
  readonly meter?: ClientMeter;
  readonly clock?: Clock;
}

/** Looking further ahead than this gains nothing; a timer is at worst a millisecond late, which the meter shows. */
const TICK_MS = 1;

/**
 * Sends each request at its time whatever the others do, waits for all fates, and sums up. Latency counts from the
 * intended start, so both a stalled server and a late client show. Aborted: what is open is dropped, the summary
 * holds what there was.
 */
export async function runClient(options: ClientOptions, signal: AbortSignal): Promise<ClientSummary> {
  const { payload, timesS, durationS, timeoutMs, clock = monotonicClock } = options;
  const meter = options.meter ?? new ClientMeter(options.slaMs);
  const { hostname, port } = new URL(options.url);
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, scheduling: 'lifo' });
  const startMs = clock.nowMs();
  let open = 0;
  let isAllSent = false;
  const { promise: drained, resolve: drain } = Promise.withResolvers<void>();

  const send = (nonce: number, intendedMs: number): void => {
    open++;
    const nowMs = clock.nowMs();
    meter.sent(nowMs, nowMs - intendedMs);
    const settle = createOnce((fate: Fate) => {
      clearTimeout(timer);
      const endedMs = clock.nowMs();
      meter.ended(fate, endedMs - intendedMs, endedMs);
      if (--open === 0 && isAllSent) drain();
    });
    const body = payload.toBody(nonce);
    const call = request(
      {
        agent,
        hostname,
        port,
        path: payload.path,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          if (answer.statusCode === 200)
            settle(payload.isAnswer(Buffer.concat(chunks).toString(), nonce) ? 'ok' : 'wrong');
          else settle(answer.headers['x-morphling-error'] === 'shed' ? 'shed' : 'error');
        });
        answer.on('error', () => settle('timeout'));
      },
    );
    const timer = setTimeout(
      () => {
        settle('timeout');
        call.destroy();
      },
      Math.max(0, intendedMs + timeoutMs - nowMs),
    );
    call.on('error', () => settle('timeout'));
    call.end(body);
  };

  let next = 0;
  try {
    while (next < timesS.length && !signal.aborted) {
      const dueMs = clock.nowMs() - startMs;
      while (next < timesS.length && 1000 * (timesS[next] ?? 0) <= dueMs) {
        send(next, startMs + 1000 * (timesS[next] ?? 0));
        next++;
      }
      if (next >= timesS.length) break;
      await sleep(Math.max(TICK_MS, Math.floor(1000 * (timesS[next] ?? 0) - dueMs)), signal);
    }
    isAllSent = true;
    await sleep(1000 * durationS - (clock.nowMs() - startMs), signal);
    if (open > 0 && !signal.aborted) await Promise.race([drained, aborted(signal)]);
  } finally {
    agent.destroy();
  }
  const ranS = signal.aborted ? Math.max(0.001, (clock.nowMs() - startMs) / 1000) : durationS;
  return meter.summary(Math.min(durationS, ranS));
}

/** Resolves after so long, or at once when aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Error, end and timeout may all come for one call; the first counts. */
function createOnce<T>(settle: (value: T) => void): (value: T) => void {
  let isDone = false;
  return (value) => {
    if (isDone) return;
    isDone = true;
    settle(value);
  };
}
