// Cuts a validated JSON array into runs of elements without looking into them.
import { isSpace } from './json-number.ts';
import type { Span } from './json-scan.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Spans of consecutive runs of `counts[k]` elements, whitespace around them left out. `array` is the array with its
 * brackets, already validated and holding exactly as many elements as `counts` sums to; an empty run has an empty span.
 */
export function sliceElements(bytes: Buffer, array: Span, counts: readonly number[]): Span[] {
  const spans: Span[] = [];
  const last = array.end - 1;
  let i = array.start + 1;
  for (const count of counts) {
    const start = i;
    let left = count;
    let depth = 0;
    while (left > 0 && i < last) {
      const byte = bytes[i]!;
      if (byte === COMMA) {
        if (depth === 0) left--;
      } else if (byte === QUOTE) {
        i = skipString(bytes, i);
        continue;
      } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
        depth++;
      } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
        depth--;
      }
      i++;
    }
    // the run ended at a comma, which i has passed, or at the closing bracket, where one element was left
    spans.push(trim(bytes, { start, end: left === 0 && count > 0 ? i - 1 : i }));
  }
  return spans;
}

/** The span without the whitespace at its ends. */
export function trim(bytes: Buffer, span: Span): Span {
  let { start, end } = span;
  while (start < end && isSpace(bytes[start]!)) start++;
  while (end > start && isSpace(bytes[end - 1]!)) end--;
  return { start, end };
}

function skipString(bytes: Buffer, at: number): number {
  let i = at + 1;
  while (bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i + 1;
}
