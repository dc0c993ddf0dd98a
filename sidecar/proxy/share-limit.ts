// What the coordinator granted this model on its device, kept as a limit: calls in flight, and device time.
import type { Share } from '../../src/core/share.ts';

/** Device time that may be saved up, as a time at the granted rate, ms. One batch's worth of patience, not a burst. */
const SAVED_MS = 1000;

/**
 * Off until a share is granted, and again when it has expired: an agent lives without its coordinator.
 *
 * A token bucket of device milliseconds. With g = gpuMsPerS / 1000 the level rises by g a millisecond, to at most
 * g * SAVED_MS, and falls by 1 a millisecond while at least one call is in flight (the union of the measured batch
 * durations: overlapping calls are not counted twice, as the device is busy once). A call may leave while the level is
 * above 0. What a call will cost is only known as it runs, so the level may fall below 0; the debt is waited off, so
 * over any long time busy ms per s <= gpuMsPerS + (one call) / time.
 */
export class ShareLimit {
  #share: Share | null = null;
  #expiresMs = 0;
  #levelMs = 0;
  #atMs = 0;
  #isBusy = false;

  /** Puts a share in force. A renewal keeps the level, so that renewing often earns nothing. */
  grant(share: Share, nowMs: number): void {
    this.#advance(nowMs);
    const savedMs = (share.gpuMsPerS / 1000) * SAVED_MS;
    this.#levelMs = this.#share === null ? savedMs : Math.min(this.#levelMs, savedMs);
    this.#share = share;
    this.#expiresMs = nowMs + share.expiresInMs;
  }

  /** The share in force; null: none. */
  shareAt(nowMs: number): Share | null {
    if (this.#share !== null && nowMs >= this.#expiresMs) this.#share = null;
    return this.#share;
  }

  /** Calls in flight that the share allows; Infinity without one. At least 1: a granted model is never shut. */
  concurrencyMaxAt(nowMs: number): number {
    const share = this.shareAt(nowMs);
    return share === null ? Infinity : Math.max(1, share.concurrencyMax);
  }

  /** When a call may leave, ms: `nowMs` if at once; it may turn out later when calls are in flight, so ask again. */
  openAtMs(nowMs: number): number {
    this.#advance(nowMs);
    if (this.#share === null || this.#levelMs > 0) return nowMs;
    const ratePerMs = this.#share.gpuMsPerS / 1000 - (this.#isBusy ? 1 : 0);
    // One millisecond of level, so that a call never leaves on a rounding error of zero.
    const openMs = ratePerMs > 0 ? nowMs + (1 - this.#levelMs) / ratePerMs : Infinity;
    return Math.min(openMs, this.#expiresMs);
  }

  /** Says from when on the model has calls in flight, or none. */
  setBusy(isBusy: boolean, nowMs: number): void {
    this.#advance(nowMs);
    this.#isBusy = isBusy;
  }

  #advance(nowMs: number): void {
    const elapsedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    const share = this.shareAt(nowMs);
    if (share === null) return;
    const gainPerMs = share.gpuMsPerS / 1000;
    this.#levelMs += elapsedMs * (gainPerMs - (this.#isBusy ? 1 : 0));
    this.#levelMs = Math.min(this.#levelMs, gainPerMs * SAVED_MS);
  }
}
