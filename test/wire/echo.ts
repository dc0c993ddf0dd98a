// A model server in a function: answers every row with itself, keeping the text of every scalar. Written with the
// platform's JSON, so that it shares no code with the codecs it judges.
import type { HeaderView, Payload } from '../../src/wire/codec.ts';

export interface Message {
  readonly body: Buffer;
  readonly headers: HeaderView;
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const { rawJSON, parse, stringify } = JSON as unknown as {
  rawJSON: (text: string) => unknown;
  parse: (text: string, reviver: Reviver) => any;
  stringify: (value: unknown) => string;
};

/** Every scalar stays the text that it was. */
export function parseRaw(text: string): any {
  return parse(text, (_, value, { source }) => (source === undefined ? value : rawJSON(source)));
}

export function toMessage({ chunks, headers }: Payload): Message {
  return { body: Buffer.concat(chunks), headers };
}

export const json = (text: string, headers: HeaderView = {}): Message => ({
  body: Buffer.from(text),
  headers: { 'content-type': 'application/json', ...headers },
});

/** `{instances: rows}` -> `{predictions: rows}`, with keys on both sides of it. */
export function echoV1({ body }: Message): Message {
  const { instances } = parseRaw(body.toString());
  return json(stringify({ deployed_model_id: 'a]b', predictions: instances, model_version: 1.5 }));
}

/** Every input comes back as an output of the same form, and one more output of two numbers a row. */
export function echoV2({ body, headers }: Message): Message {
  const length = headers['inference-header-content-length'];
  const jsonBytes = length === undefined ? body.length : Number(length);
  const request = parseRaw(body.toString('utf8', 0, jsonBytes));
  const sizes: any[] = JSON.parse(body.toString('utf8', 0, jsonBytes)).inputs;
  const binaries: Buffer[] = [];
  let at = jsonBytes;
  const outputs = request.inputs.map((input: any, index: number) => {
    const { name: _, parameters, ...rest } = input;
    const bytes = sizes[index].parameters?.binary_data_size;
    if (bytes !== undefined) {
      binaries.push(body.subarray(at, at + bytes));
      at += bytes;
    }
    return { name: `output ${index}`, ...rest, ...(parameters === undefined ? {} : { parameters }) };
  });
  const rows: number = sizes[0].shape[0];
  const pairs = {
    name: 'pairs',
    datatype: 'FP32',
    shape: [rows, 2],
    data: Array.from({ length: 2 * rows }, () => 0.5),
  };
  const { id } = request;
  const text = stringify({ model_name: 'm', id, parameters: { a: '],"' }, outputs: [pairs, ...outputs] });
  const header = Buffer.from(text);
  if (length === undefined) return json(text);
  return {
    body: Buffer.concat([header, ...binaries]),
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(header.length) },
  };
}
