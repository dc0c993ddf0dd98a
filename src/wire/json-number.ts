// Runs of JSON numbers, the bulk of every tensor: validated and summed up in one pass, none of them converted.

/** What the numbers of one value have in common; enough to say whether they fit an integer datatype. */
export interface NumberStats {
  /** Numbers read by the last call. */
  count: number;
  /** Smallest and largest whole part; exact up to 2^53, beyond that the flags below decide. */
  least: number;
  most: number;
  /** One was written with a fraction or an exponent. */
  hasFraction: boolean;
  exceedsInt64: boolean;
  exceedsUint64: boolean;
}

export function createNumberStats(): NumberStats {
  return { count: 0, least: Infinity, most: -Infinity, hasFraction: false, exceedsInt64: false, exceedsUint64: false };
}

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const COMMA = 0x2c;
/** So many digits always fit an int32, which keeps the loop free of doubles. */
const INT32_DIGITS = 9;
/** 10^308 is finite as a double, 10^309 is not. */
const FINITE_DIGITS = 308;

/**
 * Reads `number (, number)*` (with `isRun`, else one number) from `at` and returns the index behind the last number, or
 * -1 - index of the byte that is wrong. Stops before a comma that no number follows. Grammar of RFC 8259; with `isStrict` a number whose double is not
 * finite is wrong too. The bytes must end in something that is no part of a number (the scanner sees to it): the loops
 * have no bounds check.
 */
export function scanNumbers(
  bytes: Uint8Array,
  at: number,
  isStrict: boolean,
  isRun: boolean,
  stats: NumberStats,
): number {
  let { least, most, hasFraction } = stats;
  let count = 0;
  let i = at;
  let end = at;
  for (;;) {
    // `byte` is always bytes[i]: one read a byte is what this loop's speed is made of
    let byte = bytes[i]!;
    const isNegative = byte === MINUS;
    if (isNegative) byte = bytes[++i]!;
    const start = i;
    let whole = byte - ZERO;
    if (whole >>> 0 > 9) return -1 - i;
    byte = bytes[++i]!;
    if (whole === 0 && (byte - ZERO) >>> 0 <= 9) return -1 - i;
    while ((byte - ZERO) >>> 0 <= 9) {
      whole = (Math.imul(whole, 10) + byte - ZERO) | 0;
      byte = bytes[++i]!;
    }
    const digits = i - start;
    if (byte === POINT) {
      hasFraction = true;
      byte = bytes[++i]!;
      if ((byte - ZERO) >>> 0 > 9) return -1 - i;
      do byte = bytes[++i]!;
      while ((byte - ZERO) >>> 0 <= 9);
    }
    let exponent = 0;
    if ((byte | 0x20) === 0x65) {
      hasFraction = true;
      const sign = bytes[++i]!;
      byte = sign === PLUS || sign === MINUS ? bytes[++i]! : sign;
      if ((byte - ZERO) >>> 0 > 9) return -1 - i;
      do {
        if (exponent < 100_000) exponent = exponent * 10 + byte - ZERO;
        byte = bytes[++i]!;
      } while ((byte - ZERO) >>> 0 <= 9);
      if (sign === MINUS) exponent = -exponent;
    }
    if (isStrict && digits + exponent > FINITE_DIGITS && !isFiniteText(bytes, start, i)) return -1 - start;
    count++;
    if (digits > INT32_DIGITS) {
      whole = toDouble(bytes, start, start + digits);
      if (digits >= 19) noteWide(bytes, start, digits, isNegative, stats);
    }
    if (isNegative) whole = -whole;
    if (whole < least) least = whole;
    if (whole > most) most = whole;

    end = i;
    if (!isRun) break;
    while (isSpace(byte)) byte = bytes[++i]!;
    if (byte !== COMMA) break;
    byte = bytes[++i]!;
    while (isSpace(byte)) byte = bytes[++i]!;
    if ((byte - ZERO) >>> 0 > 9 && (byte !== MINUS || (bytes[i + 1]! - ZERO) >>> 0 > 9)) break;
  }
  stats.count = count;
  stats.least = least;
  stats.most = most;
  stats.hasFraction = hasFraction;
  return end;
}

/** The four bytes that JSON calls whitespace. */
export function isSpace(byte: number): boolean {
  return byte <= 0x20 && (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
}

function toDouble(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) value = value * 10 + (bytes[i]! - ZERO);
  return value;
}

/** Exact where a double is not: 19 digits and more, compared in two halves with 2^63 - 1, 2^63 and 2^64 - 1. */
function noteWide(bytes: Uint8Array, start: number, digits: number, isNegative: boolean, stats: NumberStats): void {
  if (digits > 20) {
    stats.exceedsInt64 = true;
    stats.exceedsUint64 = true;
    return;
  }
  const high = toDouble(bytes, start, start + digits - 9);
  const low = toDouble(bytes, start + digits - 9, start + digits);
  if (high > 9_223_372_036 || (high === 9_223_372_036 && low > (isNegative ? 854_775_808 : 854_775_807)))
    stats.exceedsInt64 = true;
  if (high > 18_446_744_073 || (high === 18_446_744_073 && low > 709_551_615)) stats.exceedsUint64 = true;
}

function isFiniteText(bytes: Uint8Array, start: number, end: number): boolean {
  return Number.isFinite(Number(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')));
}
