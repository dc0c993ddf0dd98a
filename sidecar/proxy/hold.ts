// A cold start's first requests wait here for the word that says whether they may be batched: a few milliseconds of
// patience, without which a burst becomes a queue of lone calls that no later batch can catch up with.
import type { Clock } from '../../src/core/clock.ts';
import type { Exchange } from './exchange.ts';
import type { ModelLane } from './models.ts';

export interface HoldOptions {
  readonly clock: Clock;
  /** Those whose waiting has ended, in the order in which they came. None of them has left. */
  readonly release: (entry: ModelLane, exchanges: readonly Exchange[]) => void;
}

/** Requests of one model and version. */
interface Group {
  readonly entry: ModelLane;
  /** When each goes on at the latest, ms. A map, as callers leave from the middle. */
  readonly untilMs: Map<Exchange, number>;
  timer: NodeJS.Timeout | null;
  wakeAtMs: number;
}

/** Longest wait, counted from the question to the model server. Metadata takes a few ms unless the server is busy. */
const HOLD_MS = 250;
/** Of the time until a caller's deadline at most this share is spent here. */
const DEADLINE_SHARE = 0.25;

/** One timer a model and version, however many wait. */
export class Hold {
  readonly #options: HoldOptions;
  readonly #groups = new Map<string, Group>();

  constructor(options: HoldOptions) {
    this.#options = options;
  }

  /** False: the question asked at `askedMs` has been open for too long; the request goes on as it is. */
  take(entry: ModelLane, exchange: Exchange, version: string | null, askedMs: number): boolean {
    const nowMs = this.#options.clock.nowMs();
    const untilMs = Math.min(askedMs + HOLD_MS, nowMs + DEADLINE_SHARE * (exchange.deadlineMs - nowMs));
    if (untilMs <= nowMs) return false;
    const key = toKey(entry.label, version);
    const group = this.#groups.get(key) ?? { entry, untilMs: new Map(), timer: null, wakeAtMs: Infinity };
    this.#groups.set(key, group);
    group.untilMs.set(exchange, untilMs);
    entry.held += 1;
    exchange.stage = 'waiting';
    exchange.onLeave = () => {
      if (group.untilMs.delete(exchange)) entry.held -= 1;
    };
    this.#wakeAt(key, group, untilMs, nowMs);
    return true;
  }

  /** The model server has been heard, or will not be: all that wait for it go on. */
  heard(model: string, version: string | null): void {
    const key = toKey(model, version);
    const group = this.#groups.get(key);
    if (group !== undefined) this.#release(key, group, Infinity);
  }

  /** Nobody waits here any longer: bypass, drain, the end. */
  releaseAll(): void {
    for (const [key, group] of this.#groups) this.#release(key, group, Infinity);
  }

  #wakeAt(key: string, group: Group, atMs: number, nowMs: number): void {
    if (group.timer !== null && group.wakeAtMs <= atMs) return;
    if (group.timer !== null) clearTimeout(group.timer);
    group.wakeAtMs = atMs;
    const wake = (): void => {
      group.timer = null;
      this.#release(key, group, this.#options.clock.nowMs());
    };
    group.timer = setTimeout(wake, Math.ceil(atMs - nowMs));
  }

  /** Lets go those that may wait until `upToMs` and no longer. */
  #release(key: string, group: Group, upToMs: number): void {
    const due: Exchange[] = [];
    let nextMs = Infinity;
    for (const [exchange, untilMs] of group.untilMs) {
      if (untilMs > upToMs) {
        nextMs = Math.min(nextMs, untilMs);
        continue;
      }
      group.untilMs.delete(exchange);
      exchange.onLeave = null;
      due.push(exchange);
    }
    group.entry.held -= due.length;
    if (nextMs < Infinity) this.#wakeAt(key, group, nextMs, upToMs);
    else {
      if (group.timer !== null) clearTimeout(group.timer);
      this.#groups.delete(key);
    }
    if (due.length > 0) this.#options.release(group.entry, due);
  }
}

function toKey(model: string, version: string | null): string {
  return `${model}\n${version ?? ''}`;
}
