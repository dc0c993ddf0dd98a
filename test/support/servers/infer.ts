// Asks a model server, or whatever stands before it, the plain way: one request, written here by hand, so that what a
// test expects does not come from the code under test.

/** A tensor with its values in row-major order. INT64 and UINT64 values may be bigint. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly (number | bigint | string | boolean)[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON as it came; of a binary answer its JSON part. */
  readonly text: string;
  readonly body: unknown;
}

export interface InferAnswer extends Answer {
  /** Empty where the answer is an error. */
  readonly outputs: readonly Tensor[];
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the request, such as `id`, `parameters`, `outputs`. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

/** Makes a tensor of rows of equal length. */
export function tensor(
  name: string,
  datatype: string,
  rows: readonly (readonly (number | bigint | string)[])[],
): Tensor {
  return { name, datatype, shape: [rows.length, rows[0]?.length ?? 0], data: rows.flat() };
}

/** V1: `POST /v1/models/MODEL:predict`. */
export async function predictV1(
  url: string,
  model: string,
  instances: readonly unknown[],
  options: AskOptions = {},
): Promise<Answer & { readonly predictions: readonly unknown[] }> {
  const body = JSON.stringify({ ...options.members, instances });
  const answer = await post(`${url}/v1/models/${model}:predict`, body, 'application/json', options);
  const predictions = (answer.body as { predictions?: unknown[] }).predictions ?? [];
  return { ...answer, predictions };
}

/** V2 in JSON: `POST /v2/models/MODEL/infer`. */
export async function inferV2(
  url: string,
  model: string,
  inputs: readonly Tensor[],
  options: AskOptions = {},
): Promise<InferAnswer> {
  // A bigint is written with all its digits.
  const body = JSON.stringify({ ...options.members, inputs }, (_key, value: unknown) =>
    typeof value === 'bigint' ? rawJSON(value.toString()) : value,
  );
  const answer = await post(`${url}/v2/models/${model}/infer`, body, 'application/json', options);
  return { ...answer, outputs: (answer.body as { outputs?: Tensor[] }).outputs ?? [] };
}

/**
 * V2 with binary tensors, both ways. The request is the JSON, then each input's bytes in the order of the inputs; the
 * header says how long the JSON is. Little-endian; a BYTES element is its length in 4 bytes, then itself.
 * https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */
export async function inferV2Binary(
  url: string,
  model: string,
  inputs: readonly Tensor[],
  options: AskOptions = {},
): Promise<InferAnswer> {
  const parts = inputs.map(toBytes);
  const json = Buffer.from(
    JSON.stringify({
      parameters: { binary_data_output: true },
      ...options.members,
      inputs: inputs.map(({ name, datatype, shape }, i) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: parts[i]?.length ?? 0 },
      })),
    }),
  );
  const answer = await post(
    `${url}/v2/models/${model}/infer`,
    Buffer.concat([json, ...parts]),
    'application/octet-stream',
    { ...options, headers: { [BINARY_HEADER]: String(json.length), ...options.headers } },
  );
  const outputs = (answer.body as { outputs?: BinaryTensor[] }).outputs ?? [];
  let offset = 0;
  return {
    ...answer,
    outputs: outputs.map(({ parameters, data, ...rest }) => {
      const size = parameters?.binary_data_size;
      if (size === undefined) return { ...rest, data: data ?? [] };
      offset += size;
      return { ...rest, data: fromBytes(rest.datatype, answer.tail.subarray(offset - size, offset)) };
    }),
  };
}

/** Node has it since 22; TypeScript's library does not know it yet. */
const { rawJSON } = JSON as unknown as { rawJSON(this: void, text: string): unknown };

const BINARY_HEADER = 'inference-header-content-length';

interface BinaryTensor extends Omit<Tensor, 'data'> {
  readonly data?: Tensor['data'];
  readonly parameters?: { readonly binary_data_size?: number };
}

async function post(
  url: string,
  body: string | Buffer<ArrayBuffer>,
  contentType: string,
  { headers, signal }: AskOptions,
): Promise<Answer & { readonly tail: Buffer }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': contentType, ...headers },
    body,
    ...(signal && { signal }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const jsonLength = Number(response.headers.get(BINARY_HEADER) ?? bytes.length);
  const text = bytes.toString('utf8', 0, jsonLength);
  const isJson = /^\s*[[{]/.test(text);
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : {},
    tail: bytes.subarray(jsonLength),
  };
}

function toBytes({ datatype, data }: Tensor): Buffer {
  switch (datatype) {
    case 'FP32':
      return Buffer.from(new Float32Array(data.map(Number)).buffer);
    case 'INT32':
      return Buffer.from(new Int32Array(data.map(Number)).buffer);
    case 'INT64':
      return Buffer.from(new BigInt64Array(data.map((v) => BigInt(v))).buffer);
    case 'BYTES':
      return Buffer.concat(
        data.flatMap((v) => {
          const bytes = Buffer.from(String(v));
          const length = Buffer.alloc(4);
          length.writeUInt32LE(bytes.length);
          return [length, bytes];
        }),
      );
    default:
      throw new Error(`no binary form written for ${datatype}`);
  }
}

function fromBytes(datatype: string, bytes: Buffer): Tensor['data'] {
  const copy = new Uint8Array(bytes).buffer; // typed arrays want an aligned start
  switch (datatype) {
    case 'FP32':
      return [...new Float32Array(copy)];
    case 'INT32':
      return [...new Int32Array(copy)];
    case 'INT64':
      return [...new BigInt64Array(copy)];
    case 'BYTES': {
      const values: string[] = [];
      for (let at = 0; at < bytes.length;) {
        const end = at + 4 + bytes.readUInt32LE(at);
        values.push(bytes.toString('utf8', at + 4, end));
        at = end;
      }
      return values;
    }
    default:
      throw new Error(`no binary form read for ${datatype}`);
  }
}
