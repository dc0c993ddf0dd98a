// What the client asks: a V2 body with a number only this request has, and the check that it came back.
import { MorphlingError } from '../../src/core/errors.ts';

/** How to ask one model. */
export interface Payload {
  readonly path: string;
  toBody(nonce: number): string;
  /** True when `body` (status 200) is the answer to `nonce`. */
  isAnswer(body: string, nonce: number): boolean;
}

/** For the emulator, which echoes: any mix-up of answers shows. FP32 carries whole numbers up to 2^24 exactly. */
export function createEchoPayload(model: string): Payload {
  const tail = `,"data":[`;
  return {
    path: `/v2/models/${encodeURIComponent(model)}/infer`,
    toBody: (nonce) => `{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,2]${tail}${nonce % 2 ** 24},0.5]}]}`,
    isAnswer(body, nonce) {
      const data = firstOutput(body)?.['data'];
      return Array.isArray(data) && data.length === 2 && data[0] === nonce % 2 ** 24;
    },
  };
}

/**
 * For a model of the user's own, from its V2 metadata: one item of zeros. Its answers cannot be told apart, so only
 * their first dimension is checked. Throws UNSUPPORTED for metadata that does not say enough.
 */
export function createZeroPayload(model: string, metadata: unknown): Payload {
  const inputs = isRecord(metadata) ? metadata['inputs'] : undefined;
  if (!Array.isArray(inputs) || inputs.length === 0)
    throw new MorphlingError('UNSUPPORTED', `the metadata of ${model} names no inputs`);
  const described = inputs.map((input: unknown) => {
    const { name, datatype, shape } = isRecord(input) ? input : {};
    if (typeof name !== 'string' || typeof datatype !== 'string' || !Array.isArray(shape))
      throw new MorphlingError(
        'UNSUPPORTED',
        `the metadata of ${model} describes an input without name, type or shape`,
      );
    const sizes = shape.map((size: unknown) => (typeof size === 'number' && size > 0 ? size : 1));
    const count = sizes.reduce((product, size) => product * size, 1);
    const zero = datatype === 'BYTES' ? '0' : datatype === 'BOOL' ? false : 0;
    return { name, datatype, shape: sizes, data: Array.from({ length: count }, () => zero) };
  });
  const body = JSON.stringify({ inputs: described });
  return {
    path: `/v2/models/${encodeURIComponent(model)}/infer`,
    toBody: () => body,
    isAnswer: (answer) => {
      const shape = firstOutput(answer)?.['shape'];
      return Array.isArray(shape) && (shape[0] === 1 || described[0]?.shape[0] !== 1);
    },
  };
}

function firstOutput(body: string): Readonly<Record<string, unknown>> | null {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    // Not JSON: counted as a wrong answer by the caller.
    return null;
  }
  const outputs = isRecord(document) ? document['outputs'] : undefined;
  const first: unknown = Array.isArray(outputs) ? outputs[0] : undefined;
  return isRecord(first) ? first : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
