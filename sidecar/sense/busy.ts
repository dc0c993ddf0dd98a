// How much of the time at least one upstream call was in flight, and how many on average.

/**
 * Integrates calls in flight over time. Exact where starts are reported. Where only ends are, the parts of the
 * calls that earlier ones did not cover count as busy when they end: exact for calls one after another, and short by
 * the head of a call that outlasts a later, shorter one.
 */
export class BusyTime {
  #inflight = 0;
  #atMs: number;
  #startedMs: number;
  #busyMs = 0;
  #areaMs = 0;
  #hasStarts = false;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
    this.#startedMs = nowMs;
  }

  get inflight(): number {
    return this.#inflight;
  }

  started(atMs: number): void {
    this.#hasStarts = true;
    this.#advance(atMs);
    this.#inflight += 1;
  }

  /** `startedMs` is used only where no start was reported. */
  ended(startedMs: number, atMs: number): void {
    if (this.#hasStarts) {
      this.#advance(atMs);
      // An end without its start (reported before this object was made) leaves the count at none, not below.
      this.#inflight = Math.max(0, this.#inflight - 1);
      return;
    }
    this.#busyMs += Math.max(0, atMs - Math.max(startedMs, this.#atMs));
    this.#areaMs += Math.max(0, atMs - Math.max(startedMs, this.#startedMs));
    this.#atMs = Math.max(this.#atMs, atMs);
  }

  /** Over the time since the last `restart`; 0..1 and calls. */
  read(nowMs: number): { readonly busyRatio: number; readonly meanInflight: number } {
    if (this.#hasStarts) this.#advance(nowMs);
    const durationMs = nowMs - this.#startedMs;
    if (durationMs <= 0) return { busyRatio: this.#inflight > 0 ? 1 : 0, meanInflight: this.#inflight };
    return { busyRatio: Math.min(1, this.#busyMs / durationMs), meanInflight: this.#areaMs / durationMs };
  }

  restart(nowMs: number): void {
    if (this.#hasStarts) this.#advance(nowMs);
    this.#startedMs = nowMs;
    this.#atMs = Math.max(this.#atMs, nowMs);
    this.#busyMs = 0;
    this.#areaMs = 0;
  }

  #advance(nowMs: number): void {
    const passedMs = nowMs - this.#atMs;
    if (passedMs <= 0) return;
    this.#atMs = nowMs;
    if (this.#inflight === 0) return;
    this.#busyMs += passedMs;
    this.#areaMs += passedMs * this.#inflight;
  }
}
