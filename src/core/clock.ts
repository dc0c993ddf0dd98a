// Time as an argument: the real clock, and one that a test or a simulation turns by hand.

/** Monotonic milliseconds with a fraction. The zero point means nothing; only differences do. */
export interface Clock {
  nowMs(): number;
}

export const monotonicClock: Clock = { nowMs: () => performance.now() };

/** A clock that stands still until it is told to move; it never goes back. */
export class VirtualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  advance(ms: number): number {
    return this.advanceTo(this.#nowMs + ms);
  }

  advanceTo(atMs: number): number {
    if (atMs > this.#nowMs) this.#nowMs = atMs;
    return this.#nowMs;
  }
}
