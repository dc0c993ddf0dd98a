// One JSON string: where it ends, and that everything in it is allowed. UTF-8 itself is checked once for the whole body.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * `at` is the opening quote. Returns the index behind the closing one, or -1 - index of the byte that is wrong: a
 * control character, an unknown escape, the end of the bytes. With `isStrict` half a surrogate pair is wrong too: it
 * cannot be written as UTF-8, and servers answer it with a 500 that would hit the whole batch.
 */
export function scanString(bytes: Uint8Array, at: number, isStrict: boolean): number {
  const end = bytes.length;
  let i = at + 1;
  while (i < end) {
    const byte = bytes[i]!;
    if (byte === QUOTE) return i + 1;
    if (byte < 0x20) return -1 - i;
    if (byte === BACKSLASH) {
      const next = scanEscape(bytes, i, isStrict);
      if (next < 0) return next;
      i = next;
    } else {
      i++;
    }
  }
  return -1 - end;
}

function scanEscape(bytes: Uint8Array, at: number, isStrict: boolean): number {
  switch (bytes[at + 1]!) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // solidus
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2;
    case 0x75: {
      const unit = readHex4(bytes, at + 2);
      if (unit < 0) return -1 - at;
      if (!isStrict || unit < 0xd800 || unit > 0xdfff) return at + 6;
      const isPair = unit < 0xdc00 && bytes[at + 6] === BACKSLASH && bytes[at + 7] === 0x75;
      const low = isPair ? readHex4(bytes, at + 8) : -1;
      return low >= 0xdc00 && low <= 0xdfff ? at + 12 : -1 - at;
    }
    default:
      return -1 - at;
  }
}

/** Four hexadecimal digits, or -1. */
function readHex4(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = bytes[i] ?? 0;
    const lower = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30;
    else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57;
    else return -1;
  }
  return value;
}
