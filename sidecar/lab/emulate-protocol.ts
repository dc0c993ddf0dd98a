// The bodies of an echoing model server: V1, V2 JSON and the binary tensor extension, in and out.
import { toBytes, toValues, toWidth, type Tensor } from './emulate-tensors.ts';

/** A call that was understood: how many items it has, and the answer it will get. */
export interface EchoCall {
  readonly items: number;
  answer(): EchoAnswer;
}

interface EchoAnswer {
  readonly chunks: readonly Buffer[];
  readonly headers: Readonly<Record<string, string>>;
}

/** A call that was refused; status 400. */
export interface EchoRefusal {
  readonly refusal: string;
}

/** V1: `{"instances": [...]}` is answered by `{"predictions": [...]}` with the same values. */
export function parseV1(body: Buffer): EchoCall | EchoRefusal {
  const document = parseJson(body);
  const instances = document?.['instances'];
  if (!Array.isArray(instances) || instances.length === 0)
    return { refusal: 'expected {"instances": [...]} with at least one instance' };
  return { items: instances.length, answer: () => toJsonAnswer({ predictions: instances }) };
}

/**
 * V2: each input tensor comes back as an output, INPUTn as OUTPUTn, with its datatype, shape and data. Inputs and
 * outputs may be binary (`inference-header-content-length`, `binary_data_size`, `binary_data`, `binary_data_output`).
 */
export function parseV2(body: Buffer, jsonBytes: number | null, model: string): EchoCall | EchoRefusal {
  if (jsonBytes !== null && (!Number.isInteger(jsonBytes) || jsonBytes < 0 || jsonBytes > body.length))
    return { refusal: 'inference-header-content-length does not fit the body' };
  const document = parseJson(jsonBytes === null ? body : body.subarray(0, jsonBytes));
  if (document === null) return { refusal: 'failed to parse the request JSON buffer' };
  const inputs = parseInputs(document['inputs'], jsonBytes === null ? Buffer.alloc(0) : body.subarray(jsonBytes));
  if ('refusal' in inputs) return inputs;
  const [first] = inputs.tensors;
  const items = first?.shape[0] ?? 0;
  if (inputs.tensors.some((tensor) => tensor.shape[0] !== items))
    return { refusal: 'input batch sizes differ between the inputs' };
  const id = document['id'];
  const wanted = parseOutputs(document['outputs']);
  const parameters = toRecord(document['parameters']);
  const isBinary = parameters?.['binary_data_output'] === true;
  const outputs = inputs.tensors
    .map((tensor, index) => ({ ...tensor, name: toOutputName(tensor.name, index) }))
    .filter((tensor) => wanted === null || wanted.has(tensor.name))
    .map((tensor) => ({ tensor, isBinary: wanted?.get(tensor.name) ?? isBinary }));
  if (outputs.length === 0) return { refusal: 'none of the requested outputs exists' };
  const refused = outputs.find((output) => !output.isBinary && toWidth(output.tensor.datatype) === null);
  if (refused !== undefined) return { refusal: `${refused.tensor.datatype} has no JSON form, ask for binary output` };
  return {
    items,
    answer: () => toV2Answer(typeof id === 'string' ? { model_name: model, id } : { model_name: model }, outputs),
  };
}

function parseInputs(value: unknown, binary: Buffer): { readonly tensors: readonly Tensor[] } | EchoRefusal {
  if (!Array.isArray(value) || value.length === 0) return { refusal: 'expected at least one input' };
  const tensors: Tensor[] = [];
  let offset = 0;
  for (const input of value as readonly unknown[]) {
    const record = toRecord(input);
    const { name, datatype, shape, data } = record ?? {};
    if (typeof name !== 'string' || typeof datatype !== 'string' || !isShape(shape))
      return { refusal: 'an input needs a name, a datatype and a shape of whole numbers' };
    const elements = shape.reduce((product, size) => product * size, 1);
    const size = toRecord(record?.['parameters'])?.['binary_data_size'];
    if (typeof size === 'number') {
      const bytes = binary.subarray(offset, offset + size);
      const width = toWidth(datatype);
      if (bytes.length !== size || (width !== null && width > 0 && size !== width * elements))
        return { refusal: `input '${name}': ${size} bytes do not fit the shape [${shape.join(',')}] of ${datatype}` };
      offset += size;
      tensors.push({ name, datatype, shape, data: bytes });
      continue;
    }
    const flat = Array.isArray(data) ? data.flat(Number.POSITIVE_INFINITY) : null;
    if (flat === null || flat.length !== elements)
      return { refusal: `input '${name}': expected ${elements} values, got ${flat?.length ?? 'none'}` };
    tensors.push({ name, datatype, shape, data: flat });
  }
  return offset === binary.length ? { tensors } : { refusal: 'bytes are left over after the last binary input' };
}

/** name -> is it binary; null where the caller did not choose. */
function parseOutputs(value: unknown): Map<string, boolean | undefined> | null {
  if (!Array.isArray(value)) return null;
  const wanted = new Map<string, boolean | undefined>();
  for (const output of value as readonly unknown[]) {
    const record = toRecord(output);
    if (typeof record?.['name'] !== 'string') continue;
    const binary = toRecord(record['parameters'])?.['binary_data'];
    wanted.set(record['name'], typeof binary === 'boolean' ? binary : undefined);
  }
  return wanted;
}

function toV2Answer(
  head: Readonly<Record<string, unknown>>,
  outputs: readonly { readonly tensor: Tensor; readonly isBinary: boolean }[],
): EchoAnswer {
  const tail: Buffer[] = [];
  const described = outputs.map(({ tensor, isBinary }) => {
    const { name, datatype, shape } = tensor;
    if (!isBinary) return { name, datatype, shape, data: toValues(tensor) };
    const bytes = toBytes(tensor);
    tail.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.length } };
  });
  const json = toJsonAnswer({ ...head, model_version: '1', outputs: described });
  if (tail.length === 0) return json;
  const jsonBytes = json.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return {
    chunks: [...json.chunks, ...tail],
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(jsonBytes) },
  };
}

function toOutputName(inputName: string, index: number): string {
  return inputName.startsWith('INPUT') ? `OUTPUT${inputName.slice('INPUT'.length)}` : `OUTPUT${index}`;
}

function toJsonAnswer(document: object): EchoAnswer {
  return { chunks: [Buffer.from(JSON.stringify(document))], headers: { 'content-type': 'application/json' } };
}

function parseJson(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    return toRecord(JSON.parse(body.toString('utf8')));
  } catch {
    // Not JSON: the caller refuses it.
    return null;
  }
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> | null {
  return isRecord(value) ? value : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isShape(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((size) => Number.isInteger(size) && size > 0);
}
