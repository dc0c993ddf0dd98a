// A histogram whose buckets grow with the value: quantiles with a bounded relative error, a few ns a record.

/**
 * 32 sub-buckets in each octave: a bucket [low, high) is at most low / 32 wide, and its middle stands for all of it,
 * so a quantile is off by at most 1/64 = 1.5625 % (property test: <= 1.6 %). Values are kept in 32nds of a unit, so
 * that the bound holds from one unit up.
 *
 * ```
 * value in 32nds of a unit, v = floor(value * 32), 32 bits
 *   v < 64          -> bucket v (one integer a bucket)
 *   v >= 64         -> e = floor(log2 v); bucket (e - 5) * 32 + (v >>> (e - 5))
 * ```
 * The layout is that of HdrHistogram (https://hdrhistogram.org) with 5 significant bits.
 */
const SUB_BITS = 5;
const SUB_BUCKETS = 1 << SUB_BITS;
const BUCKETS = (31 - SUB_BITS) * SUB_BUCKETS + 2 * SUB_BUCKETS;
const TOP = 0xffff_ffff;

/**
 * Quantiles of values that span orders of magnitude. 3.6 kB; recording allocates nothing. One unit is the least
 * value with the full relative error; the top is 2^27 units (134 s where the unit is 1 us), above which quantiles
 * saturate while count, mean and max stay exact.
 */
export class Sketch {
  readonly #counts = new Uint32Array(BUCKETS);
  /** Value -> 32nds of a unit. */
  readonly #scale: number;
  #count = 0;
  #sum = 0;
  #max = 0;

  /** `unitsPerValue`: 1000 for values in ms and a unit of 1 us; 1 for bytes and items. */
  constructor(unitsPerValue = 1000) {
    this.#scale = unitsPerValue * SUB_BUCKETS;
  }

  get count(): number {
    return this.#count;
  }

  /** Exact but for float rounding; 0 when empty. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Exact for recorded and merged values; after `subtract` the upper edge of the highest bucket left. */
  get max(): number {
    return this.#max;
  }

  /** Negative values count as 0; NaN is not recorded, since no quantile of it could be true. */
  record(value: number): void {
    if (!(value >= 0)) {
      if (Number.isNaN(value)) return;
      value = 0;
    }
    const scaled = value * this.#scale;
    const v = scaled >= TOP ? TOP : scaled >>> 0;
    const shift = v < 2 * SUB_BUCKETS ? 0 : 31 - SUB_BITS - Math.clz32(v);
    this.#counts[(shift << SUB_BITS) + (v >>> shift)]! += 1;
    this.#count += 1;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  /** Adds what the other holds. Both must have the same unit. */
  merge(other: Sketch): void {
    for (let i = 0; i < BUCKETS; i++) this.#counts[i]! += other.#counts[i]!;
    this.#count += other.#count;
    this.#sum += other.#sum;
    if (other.#max > this.#max) this.#max = other.#max;
  }

  /** Takes out an earlier state of this sketch: what is left was recorded since. */
  subtract(earlier: Sketch): void {
    let highest = -1;
    for (let i = 0; i < BUCKETS; i++) {
      const left = this.#counts[i]! - earlier.#counts[i]!;
      this.#counts[i] = Math.max(0, left);
      if (left > 0) highest = i;
    }
    this.#count = Math.max(0, this.#count - earlier.#count);
    this.#sum = this.#count === 0 ? 0 : Math.max(0, this.#sum - earlier.#sum);
    this.#max = highest < 0 ? 0 : Math.min(this.#max, toUpperEdge(highest) / this.#scale);
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#sum = 0;
    this.#max = 0;
  }

  clone(): Sketch {
    const copy = new Sketch(this.#scale / SUB_BUCKETS);
    copy.merge(this);
    return copy;
  }

  /** Nearest-rank quantile, q in 0..1; 0 when empty. */
  quantile(q: number): number {
    return this.quantiles([q])[0]!;
  }

  /** Several quantiles in one pass; `qs` ascending. */
  quantiles(qs: readonly number[]): number[] {
    const values: number[] = [];
    let bucket = -1;
    let seen = 0;
    for (const q of qs) {
      const rank = Math.max(1, Math.ceil(q * this.#count));
      while (seen < rank && bucket < BUCKETS - 1) seen += this.#counts[++bucket]!;
      values.push(this.#count === 0 ? 0 : Math.min(this.#max, toMiddle(bucket) / this.#scale));
    }
    return values;
  }
}

function toLowerEdge(bucket: number): number {
  const shift = Math.max(0, (bucket >>> SUB_BITS) - 1);
  return (bucket - (shift << SUB_BITS)) * 2 ** shift;
}

function toUpperEdge(bucket: number): number {
  return toLowerEdge(bucket) + 2 ** Math.max(0, (bucket >>> SUB_BITS) - 1);
}

function toMiddle(bucket: number): number {
  return (toLowerEdge(bucket) + toUpperEdge(bucket)) / 2;
}
