// Counts of latencies in steps of one per cent: small enough for every slice of a trial, and they add up.

/** Values below it count as it, ms. */
const LEAST_MS = 1e-3;
/** Width of a step in ln: 1 %, so a quantile is off by at most 0.5 %. */
const STEP = Math.log(1.01);
/** Up to 1,000 s. */
const STEPS = Math.ceil(Math.log(1e6 / LEAST_MS) / STEP) + 1;

/** Latencies of one slice, or of all slices of one arm. 8 kB; recording allocates nothing. */
export class LatencyTally {
  readonly #counts = new Uint32Array(STEPS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** NaN counts as the least: no quantile of it could be true, and it must not vanish from the count. */
  record(latencyMs: number): void {
    this.#counts[toStep(latencyMs)]! += 1;
    this.#count += 1;
  }

  /** Adds what the other holds. */
  merge(other: LatencyTally): void {
    for (let step = 0; step < STEPS; step++) this.#counts[step]! += other.#counts[step]!;
    this.#count += other.#count;
  }

  /** How many are at most `latencyMs`, to within a step. */
  countAtMost(latencyMs: number): number {
    const last = toStep(latencyMs);
    let count = 0;
    for (let step = 0; step <= last; step++) count += this.#counts[step]!;
    return count;
  }

  /** Nearest rank, ms, q in 0..1; null when empty. */
  quantileMs(q: number): number | null {
    if (this.#count === 0) return null;
    const rank = Math.max(1, Math.ceil(q * this.#count));
    let seen = 0;
    let step = -1;
    while (seen < rank) seen += this.#counts[++step]!;
    return toMs(step);
  }

  /** Mean of the slowest `share` of all, ms, share in (0, 1]; null when empty. At least one counts. */
  tailMeanMs(share: number): number | null {
    if (this.#count === 0) return null;
    const wanted = Math.max(1, Math.round(share * this.#count));
    let left = wanted;
    let sumMs = 0;
    for (let step = STEPS - 1; left > 0; step--) {
      const taken = Math.min(left, this.#counts[step]!);
      sumMs += taken * toMs(step);
      left -= taken;
    }
    return sumMs / wanted;
  }
}

function toMs(step: number): number {
  return LEAST_MS * Math.exp(step * STEP);
}

function toStep(latencyMs: number): number {
  return latencyMs > LEAST_MS ? Math.min(STEPS - 1, Math.round(Math.log(latencyMs / LEAST_MS) / STEP)) : 0;
}
