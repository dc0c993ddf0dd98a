// The load that the next settings must hold, from the last few windows.
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import type { Load } from './forecast.ts';

/** A lull shorter than this many windows does not shrink the settings: they would grow back at once. */
const WINDOWS_KEPT = 3;
/** After a change point only the end of the window tells of the new load. */
const TAIL_SHARE = 1 / 3;
/** Room for the load to move before the next decision. */
const HEADROOM = 1.05;
/** Above this, arrivals are treated as this bursty: beyond it the closed forms mean nothing. */
const DISPERSION_MAX = 8;
/** A window with fewer arrivals is no measure of a rate by itself. */
const ARRIVALS_MIN = 20;

/** Remembers the rates of the last windows of one model. */
export class LoadView {
  #itemsPerMs: number[] = [];

  /** Takes in a window; null while there is too little traffic to plan for. */
  observe(model: ModelSnapshot): Load | null {
    const { window, features, isChangePoint } = model;
    if (isChangePoint) this.#itemsPerMs = [];
    if (window.durationMs > 0 && window.arrivals >= ARRIVALS_MIN) {
      const rate = window.arrivedItems / window.durationMs;
      this.#itemsPerMs.push(isChangePoint ? Math.max(rate, toTailRate(model)) : rate);
      this.#itemsPerMs = this.#itemsPerMs.slice(-WINDOWS_KEPT);
    }
    if (this.#itemsPerMs.length === 0) return null;
    const mean = features.itemsPerRequest?.mean ?? (window.arrivals > 0 ? window.arrivedItems / window.arrivals : 1);
    const itemsPerRequest = Math.max(1, mean);
    return {
      itemsPerMs: HEADROOM * Math.max(...this.#itemsPerMs),
      itemsPerRequest,
      // Items come in lumps of a request, so their count varies more than its mean by the size of a lump.
      dispersion: itemsPerRequest * Math.min(DISPERSION_MAX, Math.max(1, features.dispersion ?? 1)),
    };
  }

  forget(): void {
    this.#itemsPerMs = [];
  }
}

/** Items per ms at the end of the window. The list may be cut to the newest: its own span counts then. */
function toTailRate({ arrivals, window }: ModelSnapshot): number {
  const last = arrivals.at(-1)?.[0];
  if (last === undefined) return 0;
  const fromMs = Math.max(arrivals[0]?.[0] ?? last, last - TAIL_SHARE * window.durationMs);
  if (last - fromMs <= 0) return 0;
  let items = 0;
  for (const [atMs, count] of arrivals) if (atMs > fromMs) items += count;
  return items / (last - fromMs);
}
