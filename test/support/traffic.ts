// Open-loop traffic with one line a request: when it was due, how long it took, how it ended.
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../../src/core/random.ts';
import { ask, type Asked } from './peers/http-ask.ts';

export interface Ended {
  /** Intended start, performance.now() ms. */
  readonly dueMs: number;
  /** From the intended start. */
  readonly latencyMs: number;
  /** From the moment it was sent: what the server took, however late the generator was. */
  readonly answeredMs: number;
  /** 0: no answer. */
  readonly status: number;
  readonly isMorphling: boolean;
  readonly hasRetryAfter: boolean;
}

export interface Traffic {
  /** All that ended so far. */
  readonly ended: readonly Ended[];
  readonly sent: number;
  /** Sends no more; resolves when all have ended. */
  stop(): Promise<readonly Ended[]>;
}

/** Poisson arrivals; each is sent at its time whatever became of the others. `request` gets the number of the request. */
export function startTraffic(port: number, ratePerS: number, request: (n: number) => Asked, seed = 1): Traffic {
  const random = createRandom(seed);
  const keepAlive = new Agent({ keepAlive: true, maxSockets: 2_000 });
  const ended: Ended[] = [];
  const open = new Set<Promise<void>>();
  let isOn = true;
  let sent = 0;
  const send = async (dueMs: number): Promise<void> => {
    let [status, headers]: [number, readonly string[]] = [0, []];
    const sentMs = performance.now();
    try {
      ({ status, headers } = await ask(port, { ...request(sent++), agent: keepAlive }));
    } catch {
      // No answer at all is a status of 0.
    }
    ended.push({
      dueMs,
      latencyMs: performance.now() - dueMs,
      answeredMs: performance.now() - sentMs,
      status,
      isMorphling: headers.some((line) => line.startsWith('x-morphling-error:')),
      hasRetryAfter: headers.some((line) => line.startsWith('retry-after:')),
    });
  };
  const run = async (): Promise<void> => {
    let dueMs = performance.now();
    // oxlint-disable-next-line no-unmodified-loop-condition -- `stop` turns it off
    while (isOn) {
      dueMs += random.exponential(1000 / ratePerS);
      const waitMs = dueMs - performance.now();
      if (waitMs > 0.5) await sleep(waitMs);
      const one = send(dueMs).finally(() => open.delete(one));
      open.add(one);
    }
  };
  const running = run();
  return {
    ended,
    get sent() {
      return sent;
    },
    async stop() {
      isOn = false;
      await running;
      await Promise.all(open);
      keepAlive.destroy();
      return ended;
    },
  };
}
