// JSON bodies, limited by counting what comes: a length that is announced can lie, and a chunked body has none.
import { MorphlingError } from '../../src/core/errors.ts';

/** The largest thing to send is a policy, about 2 KiB. */
const MAX_BODY_BYTES = 64 * 1024;

/** Statuses that only a body can cause. */
export type BodyResult =
  | { readonly kind: 'value'; readonly value: unknown }
  /** there was none */
  | { readonly kind: 'empty' }
  | { readonly kind: 'refused'; readonly status: 400 | 413 | 415; readonly reason: string };

export async function readJsonBody(request: Request): Promise<BodyResult> {
  const type = request.headers.get('content-type');
  const text = await readText(request.body);
  if (text === null) return { kind: 'refused', status: 413, reason: `a body of more than ${MAX_BODY_BYTES} bytes` };
  if (text === '') return { kind: 'empty' };
  // Anything but JSON can be sent by a form of a foreign page.
  if (type === null || !/^application\/json *(?:;|$)/i.test(type)) {
    return { kind: 'refused', status: 415, reason: 'the body must be application/json' };
  }
  try {
    return { kind: 'value', value: JSON.parse(text) as unknown };
  } catch (error) {
    return { kind: 'refused', status: 400, reason: error instanceof Error ? error.message : 'not JSON' };
  }
}

/** Null as soon as it is too long; what is left is not read. */
async function readText(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return Buffer.concat(chunks).toString();
      bytes += value.byteLength;
      if (bytes > MAX_BODY_BYTES) {
        await reader.cancel();
        return null;
      }
      chunks.push(value);
    }
  } catch (cause) {
    throw new MorphlingError('BAD_REQUEST', 'the body broke off', { cause });
  }
}
