// Names that may come only once: the keys of one object, the tensors of one request.

/** So many names are compared one by one before a set pays. */
const FEW = 16;

/** Small collections, the rule, never build a set; large ones, an attack, do not cost a square. */
export class Keys {
  readonly #few: string[] = [];
  #many: Set<string> | null = null;

  get size(): number {
    return this.#many?.size ?? this.#few.length;
  }

  /** False when it was there. */
  add(key: string): boolean {
    if (this.#many !== null) return !this.#many.has(key) && this.#many.add(key).size > 0;
    for (const known of this.#few) if (known === key) return false;
    if (this.#few.push(key) > FEW) this.#many = new Set(this.#few);
    return true;
  }
}
