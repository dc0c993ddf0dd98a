// A strict JSON scanner over bytes: validates every token while it walks and hands out spans, so that tensor data is
// checked without ever becoming objects. A fault is kept as a value in `fault`; nothing here throws.
import { isUtf8 } from 'node:buffer';
import { Keys } from './json-keys.ts';
import { isSpace } from './json-number.ts';
import { scanString } from './json-string.ts';
import { toCommonWord } from './json-words.ts';
import { createTally, DEPTH_MAX, skipSpace, walkValue, type Tally } from './json-value.ts';

/** Bytes [start, end) of a body. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A value as far as a batch needs to know it, and where it is. */
export type Measure = Readonly<Tally>;

/** Keys of one object at the levels we read; more is an attack on the check for duplicates. */
const KEYS_MAX = 1024;
/** Characters of a caller's text that a sentence repeats. */
const QUOTE_MAX = 64;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Walks one JSON object, top down; the body is that object and whitespace. `strict` is for what callers send. `lenient`
 * is for what model servers answer: NaN and the infinities are common there, and one of them must not cost the
 * neighbours in a batch their answers.
 */
export class JsonScanner {
  /** The first fault as half a sentence; null while all is well. */
  fault: string | null = null;
  readonly #bytes: Buffer;
  readonly #isStrict: boolean;
  /** What skipped values are tallied into; nobody reads it, and few requests need it. */
  #scratch: Tally | null = null;
  #at = 0;
  #depth = 0;

  constructor(body: Buffer, rule: 'strict' | 'lenient') {
    let end = body.length;
    while (end > 0 && isSpace(body[end - 1]!)) end--;
    const bytes = end === body.length ? body : body.subarray(0, end);
    this.#bytes = bytes;
    this.#isStrict = rule === 'strict';
    if (end === 0) this.fail('it is empty');
    else if (bytes[0] === 0xef && bytes[1] === 0xbb) this.fail('it starts with a byte order mark');
    else if (!isUtf8(bytes)) this.fail('it is not UTF-8');
    // the closing brace is also what ends the unchecked loops of scanNumbers
    else if (bytes[end - 1] !== CLOSE_OBJECT || this.#peek() !== OPEN_OBJECT) this.fail('it is not one JSON object');
  }

  /** Index of the next byte to read. */
  get at(): number {
    return this.#at;
  }

  /** Keeps the first fault; always false, so that a reader can return it. */
  fail(reason: string): false {
    this.fault ??= reason;
    return false;
  }

  /** True when all went well and nothing is left. */
  finish(): boolean {
    return this.fault === null && (this.#at === this.#bytes.length || this.#unexpected());
  }

  /** Reads an object; `visit` must read the value of each key. A key that comes twice, however escaped, is a fault. */
  object(visit: (key: string, keyStart: number) => boolean): boolean {
    if (!this.#open(OPEN_OBJECT)) return false;
    if (this.#peek() === CLOSE_OBJECT) return this.#close();
    const seen = new Keys();
    for (;;) {
      this.#peek();
      const keyStart = this.#at;
      const key = this.string();
      if (key === null) return false;
      if (this.#peek() !== COLON) return this.#unexpected();
      this.#at++;
      if (!seen.add(key)) return this.fail(`key ${quote(key)} comes twice`);
      if (seen.size > KEYS_MAX) return this.fail(`an object has more than ${KEYS_MAX} keys`);
      if (!visit(key, keyStart) || this.fault !== null) return false;
      const byte = this.#peek();
      if (byte === CLOSE_OBJECT) return this.#close();
      if (byte !== COMMA) return this.#unexpected();
      this.#at++;
    }
  }

  /** Reads an array; `visit` must read each element. */
  array(visit: (index: number) => boolean): boolean {
    if (!this.#open(OPEN_ARRAY)) return false;
    if (this.#peek() === CLOSE_ARRAY) return this.#close();
    for (let index = 0; ; index++) {
      if (!visit(index) || this.fault !== null) return false;
      const byte = this.#peek();
      if (byte === CLOSE_ARRAY) return this.#close();
      if (byte !== COMMA) return this.#unexpected();
      this.#at++;
    }
  }

  /** What comes next, without taking it. */
  peekKind(): 'object' | 'array' | 'string' | 'null' | 'other' {
    switch (this.#peek()) {
      case OPEN_OBJECT:
        return 'object';
      case OPEN_ARRAY:
        return 'array';
      case QUOTE:
        return 'string';
      case 0x6e:
        return 'null';
      default:
        return 'other';
    }
  }

  /** As peekKind, for the first element of the array that comes next; `other` when there is none. */
  peekElementKind(): 'object' | 'other' {
    return this.#bytes[skipSpace(this.#bytes, this.#at + 1)] === OPEN_OBJECT ? 'object' : 'other';
  }

  /** Validates any value and says its shape. Null: a fault. */
  measure(): Measure | null {
    const tally = createTally();
    this.#peek();
    tally.start = this.#at;
    if (!this.#walk(tally)) return null;
    tally.end = this.#at;
    return tally;
  }

  /** Validates any value and steps over it. */
  skip(): boolean {
    return this.#peek() === QUOTE ? this.#string() : this.#walk((this.#scratch ??= createTally()));
  }

  /** Reads a string, decoded. Null: a fault. */
  string(): string | null {
    if (this.fault !== null || this.#peek() !== QUOTE) {
      this.#unexpected();
      return null;
    }
    const bytes = this.#bytes;
    const start = this.#at;
    if (!this.#string()) return null;
    const end = this.#at;
    const word = toCommonWord(bytes, start + 1, end - 1);
    if (word !== null) return word;
    const text = bytes.toString('utf8', start + 1, end - 1);
    return text.includes('\\') ? String(JSON.parse(`"${text}"`)) : text;
  }

  /** Reads a whole number in plain digits, 0..2^53-1. Null: it is something else, for the caller to name in a fault. */
  count(): number | null {
    if (this.fault !== null) return null;
    this.#peek();
    const bytes = this.#bytes;
    const start = this.#at;
    let value = 0;
    let i = start;
    for (let digit = bytes[i]! - 0x30; digit >= 0 && digit <= 9; digit = bytes[i]! - 0x30) {
      value = value * 10 + digit;
      i++;
    }
    // `01`, `1.0`, `-1`: is it JSON at least? What is not keeps the scanner's own fault.
    const next = bytes[i]!;
    const isPlain = i > start && (bytes[start] !== 0x30 || i === start + 1);
    if (!isPlain || next === 0x2e || (next | 0x20) === 0x65) {
      this.skip();
      return null;
    }
    this.#at = i;
    return Number.isSafeInteger(value) ? value : null;
  }

  #string(): boolean {
    if (this.fault !== null) return false;
    const end = scanString(this.#bytes, this.#at, this.#isStrict);
    this.#at = end < 0 ? -1 - end : end;
    return end >= 0 || this.#unexpected();
  }

  #peek(): number {
    this.#at = skipSpace(this.#bytes, this.#at);
    return this.#at < this.#bytes.length ? this.#bytes[this.#at]! : -1;
  }

  #walk(tally: Tally): boolean {
    if (this.fault !== null) return false;
    const next = walkValue(this.#bytes, this.#at, this.#depth, this.#isStrict, tally);
    if (next >= 0) {
      this.#at = next;
      return true;
    }
    this.#at = -1 - next;
    return this.#unexpected();
  }

  #open(bracket: number): boolean {
    if (this.fault !== null || this.#peek() !== bracket) return this.#unexpected();
    this.#at++;
    this.#depth++;
    return true;
  }

  #close(): true {
    this.#at++;
    this.#depth--;
    return true;
  }

  #unexpected(): false {
    const byte = this.#at < this.#bytes.length ? quote(String.fromCharCode(this.#bytes[this.#at]!)) : 'the end';
    return this.fail(`${byte} at byte ${this.#at} is not valid JSON there (or is nested deeper than ${DEPTH_MAX})`);
  }
}

/** A caller's text as a sentence may repeat it: quoted, short, printable. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTE_MAX ? `${text.slice(0, QUOTE_MAX)}...` : text);
}
