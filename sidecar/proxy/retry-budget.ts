// How many second tries the traffic may make, so that a fault is never answered with twice the load.

/** Share of the calls that may be tried again. 20 % and ten a second, as linkerd's proxy. */
const SHARE = 0.2;
const LEAST_PER_S = 10;
/** What may be saved up: ten seconds of the least. */
const SAVED_MAX = 10 * LEAST_PER_S;

/**
 * A token bucket: every call pays in SHARE, every second LEAST_PER_S, and a second try costs 1. So over any time
 * tries <= SHARE * calls + LEAST_PER_S * seconds + SAVED_MAX.
 */
export class RetryBudget {
  #tokens = LEAST_PER_S;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** A call was made for the first time. */
  called(): void {
    this.#tokens = Math.min(SAVED_MAX, this.#tokens + SHARE);
  }

  /** True: one second try may be made now, and is paid for. */
  take(nowMs: number): boolean {
    this.#tokens = Math.min(SAVED_MAX, this.#tokens + ((nowMs - this.#atMs) / 1000) * LEAST_PER_S);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
