// The reflex: within milliseconds, in the data process, when the queue has grown too old for the SLA.
import { type Bounds, clampSettings, isSameSettings, type Settings, START_SETTINGS } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { Proven } from './proven.ts';

/** One look at a model's queue. */
export interface Look {
  readonly settings: Settings;
  readonly bounds: Bounds;
  /** Null: no SLA is known, so nothing is too old. */
  readonly slaP99Ms: number | null;
  /** Wait of the oldest request in the queue, ms; 0 when it is empty. */
  readonly oldestWaitMs: number;
  /** A request was shed as late since the last look: admission keeps the queue young, so that its age alone would not tell. */
  readonly isShedding?: boolean;
}

export type ReflexAction =
  | { readonly kind: 'none' }
  /** Put these in force at once, source `reflex`. They stay until the next decision. */
  | { readonly kind: 'trip'; readonly settings: Settings; readonly reason: string };

/**
 * A request that cannot end within the SLA any more is the sign. Earlier would be wrong: a good setting uses the SLA up
 * to 90 % at its p99, and a reflex that fires there undoes every decision.
 */
const TRIP_RATIO = 1;
/** A wait this little above the delay asked for is the delay, not a queue. */
const ABOVE_DELAY_RATIO = 0.05;
/** Where nothing is known of the service time, half the SLA is left for it. */
const UNKNOWN_SERVICE_RATIO = 0.5;

/**
 * One per model, whatever the controller. Trips when
 *
 *     oldestWait > delay + 0.05 SLA   and   oldestWait + service > SLA,   or a request was shed as late
 *
 * with service = the last window's median upstream time; then the safest settings proven so far are in force until the
 * interval ends, and the next decision starts from there. It trips once an interval: a reflex that fires again would only repeat itself.
 */
export class Reflex {
  readonly #proven = new Proven();
  #serviceMs: number | null = null;
  #ratePerS = 0;
  #hasTripped = false;
  #trips = 0;

  /** Trips since the start. */
  get trips(): number {
    return this.#trips;
  }

  /** True from a trip to the end of its interval. */
  get isTripped(): boolean {
    return this.#hasTripped;
  }

  /** The interval ended: what it proved is kept, and the reflex is armed again. */
  windowEnded(model: ModelSnapshot): void {
    this.#proven.observe(model);
    this.#serviceMs = model.window.upstream?.p50Ms ?? this.#serviceMs;
    this.#ratePerS = model.window.ratePerS;
    this.#hasTripped = false;
  }

  look({ settings, bounds, slaP99Ms, oldestWaitMs, isShedding = false }: Look): ReflexAction {
    if (this.#hasTripped || slaP99Ms === null) return { kind: 'none' };
    const serviceMs = this.#serviceMs ?? UNKNOWN_SERVICE_RATIO * slaP99Ms;
    const isDelay = oldestWaitMs <= settings.batchDelayMs + ABOVE_DELAY_RATIO * slaP99Ms;
    // A service slower than the SLA leaves no room at all; then a wait of a quarter of it is still a sign of a queue.
    const isLate = oldestWaitMs > Math.max(0.25 * slaP99Ms, TRIP_RATIO * slaP99Ms - serviceMs);
    if (!isShedding && (isDelay || !isLate)) return { kind: 'none' };
    this.#hasTripped = true;
    // What is in force does not hold now, whatever its windows said; the load of this instant is not known, so the last one stands for it.
    this.#proven.broke(settings, this.#ratePerS);
    const safe = clampSettings(this.#proven.safest(this.#ratePerS, natural(settings)), bounds);
    // Nothing safer is known than what is in force: changing it would only hide that the device is full.
    if (isSameSettings(safe, settings)) return { kind: 'none' };
    this.#trips++;
    const wait =
      `the oldest request has waited ${oldestWaitMs.toFixed(0)} ms and needs about ${serviceMs.toFixed(0)} ms more, ` +
      `of ${slaP99Ms.toFixed(0)} ms allowed`;
    const reason = isShedding ? `requests are shed as late; ${wait}` : wait;
    return { kind: 'trip', settings: safe, reason };
  }
}

/** Natural batching with the switches as they stand: a reload is nothing for an emergency. */
function natural(settings: Settings): Settings {
  return { ...START_SETTINGS, switches: settings.switches };
}
