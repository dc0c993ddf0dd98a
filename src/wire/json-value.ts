// Any JSON value: validated in one pass, and summed up as far as a batch needs to know it.
import { createNumberStats, isSpace, scanNumbers, type NumberStats } from './json-number.ts';
import { scanString } from './json-string.ts';

/** Kinds of leaves in a value, as bits of `Tally.kinds`. */
export const LEAF = { number: 1, string: 2, boolean: 4, null: 8, object: 16 } as const;

/** Deeper nesting is refused: parsers behind us recurse. */
export const DEPTH_MAX = 64;

/** What a walk found out; the walk writes, its owner reads. */
export interface Tally {
  /** Where the value stands; set by the scanner. */
  start: number;
  end: number;
  /** Length at each level of nested arrays; empty for a scalar or an object. */
  dims: number[];
  /** Level at which the leaves lie, -1 while there are none. */
  leafLevel: number;
  /** Every array of a level has the same length, and all leaves lie at one level. */
  isRegular: boolean;
  /** Scalars and objects at the bottom of the arrays; what is inside an object does not count. */
  leaves: number;
  /** Bits of LEAF. */
  kinds: number;
  numbers: NumberStats;
}

export function createTally(): Tally {
  return {
    start: 0,
    end: 0,
    dims: [],
    leafLevel: -1,
    isRegular: true,
    leaves: 0,
    kinds: 0,
    numbers: createNumberStats(),
  };
}

/** Level of values inside an object: validated, not tallied. */
const UNTALLIED = -1;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Validates the value that starts at `at` (no whitespace before it), `depth` levels deep, and returns the index behind
 * it, or -1 - index of the byte that is wrong. `bytes` ends in `}`. Lenient: NaN and the infinities are numbers, and
 * half a surrogate pair is text.
 */
export function walkValue(bytes: Uint8Array, at: number, depth: number, isStrict: boolean, tally: Tally): number {
  return walk(bytes, at, depth, isStrict, tally, 0);
}

function walk(b: Uint8Array, at: number, depth: number, isStrict: boolean, tally: Tally, level: number): number {
  switch (b[at]!) {
    case OPEN_ARRAY:
      return walkArray(b, at, depth + 1, isStrict, tally, level);
    case OPEN_OBJECT:
      noteLeaves(tally, level, LEAF.object, 1);
      return walkObject(b, at, depth + 1, isStrict, tally);
    case QUOTE:
      noteLeaves(tally, level, LEAF.string, 1);
      return scanString(b, at, isStrict);
    case 0x74: // t
      noteLeaves(tally, level, LEAF.boolean, 1);
      return walkLiteral(b, at, 'true');
    case 0x66: // f
      noteLeaves(tally, level, LEAF.boolean, 1);
      return walkLiteral(b, at, 'false');
    case 0x6e: // n
      noteLeaves(tally, level, LEAF.null, 1);
      return walkLiteral(b, at, 'null');
    default: {
      noteLeaves(tally, level, LEAF.number, 1);
      const word = isStrict ? null : toNonFiniteWord(b, at);
      return word === null ? scanNumbers(b, at, isStrict, false, tally.numbers) : walkLiteral(b, at, word);
    }
  }
}

function walkArray(b: Uint8Array, at: number, depth: number, isStrict: boolean, tally: Tally, level: number): number {
  if (depth > DEPTH_MAX) return -1 - at;
  const inner = level === UNTALLIED ? UNTALLIED : level + 1;
  let length = 0;
  let i = skipSpace(b, at + 1);
  if (b[i] === CLOSE_ARRAY) {
    noteArray(tally, level, 0);
    return i + 1;
  }
  for (;;) {
    const byte = b[i]!;
    if ((byte >= 0x30 && byte <= 0x39) || (byte === MINUS && isStrict)) {
      i = scanNumbers(b, i, isStrict, true, tally.numbers);
      if (i < 0) return i;
      noteLeaves(tally, inner, LEAF.number, tally.numbers.count);
      length += tally.numbers.count;
    } else {
      i = walk(b, i, depth, isStrict, tally, inner);
      if (i < 0) return i;
      length++;
    }
    i = skipSpace(b, i);
    if (b[i] === CLOSE_ARRAY) break;
    if (b[i] !== COMMA) return -1 - i;
    i = skipSpace(b, i + 1);
  }
  noteArray(tally, level, length);
  return i + 1;
}

function walkObject(b: Uint8Array, at: number, depth: number, isStrict: boolean, tally: Tally): number {
  if (depth > DEPTH_MAX) return -1 - at;
  let i = skipSpace(b, at + 1);
  if (b[i] === CLOSE_OBJECT) return i + 1;
  for (;;) {
    if (b[i] !== QUOTE) return -1 - i;
    i = scanString(b, i, isStrict);
    if (i < 0) return i;
    i = skipSpace(b, i);
    if (b[i] !== COLON) return -1 - i;
    i = walk(b, skipSpace(b, i + 1), depth, isStrict, tally, UNTALLIED);
    if (i < 0) return i;
    i = skipSpace(b, i);
    if (b[i] === CLOSE_OBJECT) return i + 1;
    if (b[i] !== COMMA) return -1 - i;
    i = skipSpace(b, i + 1);
  }
}

/** Index of the first byte from `at` that is no whitespace; the end when there is none. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  let i = at;
  while (i < bytes.length && isSpace(bytes[i]!)) i++;
  return i;
}

function walkLiteral(bytes: Uint8Array, at: number, word: string): number {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word.charCodeAt(i)) return -1 - at;
  return at + word.length;
}

function toNonFiniteWord(bytes: Uint8Array, at: number): string | null {
  if (bytes[at] === 0x4e) return 'NaN';
  if (bytes[at] === 0x49) return 'Infinity';
  return bytes[at] === MINUS && bytes[at + 1] === 0x49 ? '-Infinity' : null;
}

function noteLeaves(tally: Tally, level: number, kind: number, count: number): void {
  if (level === UNTALLIED) return;
  tally.leaves += count;
  tally.kinds |= kind;
  if (tally.leafLevel === -1) tally.leafLevel = level;
  else if (tally.leafLevel !== level) tally.isRegular = false;
}

function noteArray(tally: Tally, level: number, length: number): void {
  if (level === UNTALLIED) return;
  const known = tally.dims[level];
  if (known === undefined) {
    // inner arrays end first, so the outer levels are filled in later: keep the array dense
    while (tally.dims.length < level) tally.dims.push(-1);
    tally.dims[level] = length;
  } else if (known === -1) {
    tally.dims[level] = length;
  } else if (known !== length) {
    tally.isRegular = false;
  }
}
