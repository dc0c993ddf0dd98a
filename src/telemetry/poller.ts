// Asks something again and again: one question at a time, slower while it fails, never throwing into its owner.
import { toMessage } from '../core/errors.ts';
import type { SourceHealth } from '../core/snapshot.ts';

export interface PollerOptions {
  /** The `source` label of the telemetry metrics. */
  readonly source: string;
  readonly intervalMs: () => number;
  /** Longest pause while it fails, ms; the pause doubles from the interval. */
  readonly mostPauseMs?: number;
  /** One question. It must end by itself in bounded time; throwing means that it failed. */
  readonly poll: () => Promise<void>;
  readonly clock?: () => number;
}

/** The timer behind sources that are asked (pages, files), with their health. */
export class Poller {
  readonly #options: PollerOptions;
  readonly #clock: () => number;
  #timer: NodeJS.Timeout | null = null;
  #inFlight: Promise<void> | null = null;
  #isStarted = false;
  #isStopped = false;
  #failures = 0;
  #lastGoodMs: number | null = null;
  #errors = 0;
  #lastError: string | null = null;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  start(): void {
    if (this.#isStarted || this.#isStopped) return;
    this.#isStarted = true;
    this.#inFlight = this.#ask();
  }

  health(nowMs: number): SourceHealth {
    return {
      source: this.#options.source,
      ageMs: this.#lastGoodMs === null ? null : Math.max(0, nowMs - this.#lastGoodMs),
      errors: this.#errors,
      lastError: this.#lastError,
    };
  }

  /** Resolves when no question is open. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#inFlight;
  }

  async #ask(): Promise<void> {
    try {
      await this.#options.poll();
      this.#failures = 0;
      this.#lastGoodMs = this.#clock();
    } catch (error) {
      // Counted and told by `health`; asking again is all that can be done.
      this.#failures += 1;
      this.#errors += 1;
      this.#lastError = toMessage(error);
    }
    if (this.#isStopped) return;
    const intervalMs = this.#options.intervalMs();
    const pauseMs = Math.min(
      Math.max(intervalMs, this.#options.mostPauseMs ?? 60_000),
      intervalMs * 2 ** Math.min(10, this.#failures),
    );
    this.#timer = setTimeout(() => {
      this.#inFlight = this.#ask();
    }, pauseMs);
    this.#timer.unref();
  }
}
