// The load that the next settings must hold, from the last few windows.
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import type { Load } from './forecast.ts';

/** A lull shorter than this many spans does not shrink the settings: they would grow back at once. */
const SPANS_KEPT = 3;
/** A burst's windows of a second are joined to spans of this length: the noise of a short count would pass for load. */
const SPAN_MS = 9000;
/** Or to so many arrivals, whose count is known to 5 %. */
const SPAN_ARRIVALS = 400;
/** After a jump only the end of the window tells of the new load. */
const TAIL_SHARE = 1 / 3;
/** ln of the least change of rate that is another load. */
const JUMP_LOG_RATIO = 0.25;
/** Above this, arrivals are treated as this bursty: beyond it the closed forms mean nothing. */
const DISPERSION_MAX = 8;
/** A span with fewer arrivals is no measure of a rate. */
const ARRIVALS_MIN = 20;

/** Remembers the rates of the last spans of one model. */
export class LoadView {
  #itemsPerMs: number[] = [];
  #spanMs = 0;
  #arrivals = 0;
  #items = 0;

  /** Takes in a window; null while there is too little traffic to plan for. */
  observe(model: ModelSnapshot): Load | null {
    const { window, features } = model;
    this.#spanMs += window.durationMs;
    this.#arrivals += window.arrivals;
    this.#items += window.arrivedItems;
    if (this.#arrivals >= ARRIVALS_MIN) this.#close(toJumpedRate(model));
    if (this.#itemsPerMs.length === 0) return null;
    const mean = features.itemsPerRequest?.mean ?? (window.arrivals > 0 ? window.arrivedItems / window.arrivals : 1);
    const itemsPerRequest = Math.max(1, mean);
    return {
      itemsPerMs: Math.max(...this.#itemsPerMs),
      itemsPerRequest,
      // Items come in lumps of a request, so their count varies more than its mean by the size of a lump.
      dispersion: itemsPerRequest * Math.min(DISPERSION_MAX, Math.max(1, features.dispersion ?? 1)),
    };
  }

  #close(jumpedTo: number | null): void {
    const rate = this.#items / this.#spanMs;
    const isWhole = this.#spanMs >= SPAN_MS || this.#arrivals >= SPAN_ARRIVALS;
    if (jumpedTo !== null) this.#itemsPerMs = [jumpedTo];
    else if (isWhole || this.#itemsPerMs.length === 0) this.#itemsPerMs.push(rate);
    else return;
    this.#itemsPerMs = this.#itemsPerMs.slice(-SPANS_KEPT);
    this.#spanMs = this.#arrivals = this.#items = 0;
  }
}

/**
 * Items per ms at the end of the window if the rate jumped inside it, else null. The change point alone does not tell: latency jumps
 * when settings do. The list of arrivals may be cut to the newest: its own span counts then.
 */
export function toJumpedRate({ arrivals, window, isChangePoint }: ModelSnapshot): number | null {
  const lastMs = arrivals.at(-1)?.[0];
  const firstMs = arrivals[0]?.[0];
  if (!isChangePoint || lastMs === undefined || firstMs === undefined || window.arrivals < ARRIVALS_MIN) return null;
  const fromMs = Math.max(firstMs, lastMs - TAIL_SHARE * window.durationMs);
  if (lastMs <= fromMs) return null;
  let items = 0;
  for (const [atMs, count] of arrivals) if (atMs > fromMs) items += count;
  const rate = items / (lastMs - fromMs);
  const mean = window.arrivedItems / window.durationMs;
  return Math.abs(Math.log(rate / mean)) > JUMP_LOG_RATIO ? rate : null;
}
