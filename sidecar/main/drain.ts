// Stopping without losing a request: one deadline for the whole of it, so that no two waits add up.
import type { Logger } from '../../src/core/log.ts';

export interface DrainSteps {
  readonly delayMs: number;
  readonly timeoutMs: number;
  readonly log: Logger;
  /** Batches stop waiting, answers close their connections; requests are still taken. */
  readonly start: () => void;
  /** The balancer has had its time: no more connections. */
  readonly refuse: () => void;
  /** Nothing is under way any more. */
  readonly isDone: () => boolean;
  /** Called once. `isClean`: nothing was cut off. */
  readonly end: (isClean: boolean) => void;
}

const LOOK_MS = 50;
/** What a second signal leaves to requests in flight. */
const SHORT_MS = 1_000;

/** The function to call at each signal: the first begins, a second one skips the delay and leaves a second. */
export function createDrain({ delayMs, timeoutMs, log, start, refuse, isDone, end }: DrainSteps): () => void {
  let openUntilMs = Infinity;
  let endsAtMs = Infinity;
  return () => {
    const nowMs = performance.now();
    const isFirst = endsAtMs === Infinity;
    openUntilMs = isFirst ? nowMs + delayMs : nowMs;
    endsAtMs = Math.min(endsAtMs, isFirst ? nowMs + delayMs + timeoutMs : nowMs + SHORT_MS);
    log.info('draining', { delayMs, timeoutMs, isShortened: !isFirst });
    if (!isFirst) return;
    start();
    let isRefusing = false;
    const timer = setInterval(() => {
      const atMs = performance.now();
      if (atMs < openUntilMs) return;
      if (!isRefusing) refuse();
      isRefusing = true;
      const isEmpty = isDone();
      if (!isEmpty && atMs < endsAtMs) return;
      clearInterval(timer);
      end(isEmpty);
    }, LOOK_MS);
  };
}
