// A binary heap whose entries know their place in it, so that one can leave from the middle.

/** What can stand in a heap; in one heap at a time. */
export interface Ranked {
  /** The smallest is on top. Change it only through `rerank`. */
  rank: number;
  /** Where it stands; -1 = in no heap. The heap's own. */
  heapIndex: number;
}

/** Smallest rank first; push, remove and rerank in O(log n), O(1) for a heap of one or pushes in rising order. */
export class Heap<T extends Ranked> {
  readonly #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get top(): T | null {
    return this.#entries[0] ?? null;
  }

  push(entry: T): void {
    entry.heapIndex = this.#entries.length;
    this.#entries.push(entry);
    this.#rise(entry);
  }

  /** The entry must be in this heap. */
  remove(entry: T): void {
    const index = entry.heapIndex;
    const last = this.#entries.pop();
    entry.heapIndex = -1;
    if (last === undefined || last === entry) return;
    last.heapIndex = index;
    this.#entries[index] = last;
    this.#rise(last);
    this.#sink(last);
  }

  /** The entry must be in this heap. */
  rerank(entry: T, rank: number): void {
    const isLater = rank > entry.rank;
    entry.rank = rank;
    if (isLater) this.#sink(entry);
    else this.#rise(entry);
  }

  #rise(entry: T): void {
    let index = entry.heapIndex;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#entries[parentIndex]!;
      if (parent.rank <= entry.rank) break;
      this.#put(parent, index);
      index = parentIndex;
    }
    this.#put(entry, index);
  }

  #sink(entry: T): void {
    let index = entry.heapIndex;
    const size = this.#entries.length;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= size) break;
      if (childIndex + 1 < size && this.#entries[childIndex + 1]!.rank < this.#entries[childIndex]!.rank) childIndex++;
      const child = this.#entries[childIndex]!;
      if (child.rank >= entry.rank) break;
      this.#put(child, index);
      index = childIndex;
    }
    this.#put(entry, index);
  }

  #put(entry: T, index: number): void {
    this.#entries[index] = entry;
    entry.heapIndex = index;
  }
}
