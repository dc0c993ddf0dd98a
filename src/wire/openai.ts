// The OpenAI shape, as far as a proxy needs it: the model's name is in the body.

/** Bytes looked at; a prompt longer than this with the model behind it stays unnamed. */
const LOOK_MAX_BYTES = 1024 * 1024;
const NAME_MAX = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const KEY = '"model"';

/**
 * The `model` of a completion, chat, embedding or rerank body; null when there is none in the first MiB, or it is no
 * string of 1 to 256 characters. A cheap look, not a check: the body is forwarded as it is, and the server judges it.
 */
export function openaiModel(body: Buffer): string | null {
  const end = Math.min(body.length, LOOK_MAX_BYTES);
  let depth = 0;
  let i = 0;
  while (i < end) {
    const byte = body[i]!;
    if (byte === QUOTE) {
      const close = endOfString(body, i);
      if (close === -1) return null;
      if (depth === 1 && body.toString('latin1', i, Math.min(close, i + 8)) === KEY) {
        const value = toValue(body, close);
        if (value !== null) return value;
      }
      i = close;
      continue;
    }
    if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
    i++;
  }
  return null;
}

/** The string behind `: `; null when the key was a value after all, or the model is not a string. */
function toValue(body: Buffer, at: number): string | null {
  let i = skipSpace(body, at);
  if (body[i] !== 0x3a) return null;
  i = skipSpace(body, i + 1);
  if (body[i] !== QUOTE) return null;
  const close = endOfString(body, i);
  if (close === -1 || close - i > 6 * NAME_MAX + 2) return null;
  try {
    const name: unknown = JSON.parse(body.toString('utf8', i, close));
    return typeof name === 'string' && name !== '' && name.length <= NAME_MAX ? name : null;
  } catch {
    return null; // a bad escape: the server will refuse the body
  }
}

/** Index behind the closing quote; -1 when it does not close. Prompts are long, so the quote is looked for natively. */
function endOfString(body: Buffer, open: number): number {
  let from = open + 1;
  for (;;) {
    const quote = body.indexOf(QUOTE, from);
    if (quote === -1) return -1;
    let before = quote - 1;
    while (body[before] === BACKSLASH) before--;
    if ((quote - before) % 2 === 1) return quote + 1;
    from = quote + 1;
  }
}

function skipSpace(body: Buffer, at: number): number {
  let i = at;
  while (body[i] === 0x20 || body[i] === 0x0a || body[i] === 0x0d || body[i] === 0x09) i++;
  return i;
}
