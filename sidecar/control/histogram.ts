// A histogram with power-of-two buckets: one array increment per value, so that the request path can afford it.

/** Cumulative counts as Prometheus wants them. */
export interface Buckets {
  /** `[upper bound in the histogram's own unit, values <= bound]`, ascending, without +Inf. */
  readonly bounds: readonly (readonly [le: number, count: number])[];
  readonly sum: number;
  readonly count: number;
}

/** Buckets 1, 2, 4 ... 2^(n-1), and one more bound that may lie anywhere, such as the SLA. */
export class Log2Histogram {
  /** Buckets, the one above the last bound, then values within the extra bound, then the sum: one cache line or two. */
  readonly #cells: Float64Array;
  /** Index of the bucket above the last bound. */
  readonly #last: number;
  readonly #extraBound: number;

  constructor(boundCount: number, extraBound: number | null = null) {
    this.#cells = new Float64Array(boundCount + 3);
    this.#last = boundCount;
    this.#extraBound = extraBound ?? -1;
  }

  /** Values below 0 count as 0; NaN is dropped. */
  record(value: number): void {
    if (value !== value) return;
    const cells = this.#cells;
    const last = this.#last;
    // ceil(value) - 1 has as many bits as there are powers of two below value: 2 -> 1, 2.1 -> 2, 4 -> 2, 4.1 -> 3.
    // Above 2^32 the trick wraps round.
    const index = value <= 1 ? 0 : value > 4_294_967_295 ? last : 32 - Math.clz32(Math.ceil(value) - 1);
    const bucket = index < last ? index : last;
    cells[bucket] = (cells[bucket] ?? 0) + 1;
    if (value <= this.#extraBound) cells[last + 1] = (cells[last + 1] ?? 0) + 1;
    if (value > 0) cells[last + 2] = (cells[last + 2] ?? 0) + value;
  }

  read(): Buckets {
    const bounds: [number, number][] = [];
    let count = 0;
    for (let index = 0; index <= this.#last; index++) {
      count += this.#cells[index] ?? 0;
      if (index < this.#last) bounds.push([2 ** index, count]);
    }
    const extra = this.#extraBound;
    if (extra >= 0 && !bounds.some(([le]) => le === extra)) {
      bounds.push([extra, this.#cells[this.#last + 1] ?? 0]);
      bounds.sort(([a], [b]) => a - b);
    }
    return { bounds, sum: this.#cells[this.#last + 2] ?? 0, count };
  }
}
