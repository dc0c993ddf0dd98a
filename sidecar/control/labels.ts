// Label values are chosen by callers (the model's name is in the path), so their number is bounded.

/** The label of every name beyond the limit. */
const OTHER = 'other';

/** Longest label value; a longer name is `other`, since cutting could make two names one. */
const MAX_NAME_CHARS = 128;

/** First come, first served, up to `limit` names; reserved ones always have a place. */
export class BoundedNames {
  readonly #names: Set<string>;
  readonly #limit: number;

  constructor(limit: number, reserved: readonly string[] = []) {
    this.#names = new Set(reserved.slice(0, limit));
    this.#limit = limit;
  }

  /** The name itself while there is room, else `other`. */
  toLabel(name: string): string {
    if (this.#names.has(name)) return name;
    if (this.#names.size >= this.#limit || name.length > MAX_NAME_CHARS) return OTHER;
    this.#names.add(name);
    return name;
  }
}
