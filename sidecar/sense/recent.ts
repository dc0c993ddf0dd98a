// The newest few of something.

/** Keeps the newest `capacity` items pushed since it was last emptied. Grows as it is used, never above capacity. */
export class Recent<T> {
  readonly #capacity: number;
  readonly #items: T[] = [];
  /** Where the oldest is, once full. */
  #oldest = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(item: T): void {
    if (this.#items.length < this.#capacity) {
      this.#items.push(item);
      return;
    }
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
  }

  /** A copy, newest last. */
  toArray(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)];
  }

  clear(): void {
    this.#items.length = 0;
    this.#oldest = 0;
  }
}
