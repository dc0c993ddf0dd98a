// The JSON of an Open Inference V2 request or answer, read in one pass: its tensors, and the holes where members of a
// batch may differ. Requests carry tensors in `inputs`, answers in `outputs`; otherwise they are alike.
import { Keys } from './json-keys.ts';
import { quote, type JsonScanner, type Measure, type Span } from './json-scan.ts';
import { LEAF } from './json-value.ts';
import type { Hole } from './template.ts';

export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Product of the shape. */
  readonly elements: number;
  /** Its JSON data; null when the data is binary or elsewhere. */
  readonly data: Measure | null;
  /** Its `binary_data_size`; null when the data is JSON or elsewhere. */
  readonly binaryBytes: number | null;
  /** Its data is in shared memory, which a merged call cannot name. */
  readonly isShared: boolean;
}

export interface Message {
  readonly tensors: readonly Tensor[];
  /** In order of position. */
  readonly holes: readonly Hole[];
  /** The id's text with its quotes; `keyStart` is where its key begins. Null when there is none or it is null. */
  readonly id: (Span & { readonly keyStart: number }) | null;
  readonly isSequence: boolean;
  /** Triton's `timeout` parameter, µs; null when absent or 0. */
  readonly timeoutUs: number | null;
  /** A requested output is to go to shared memory. */
  readonly sharesOutputs: boolean;
}

/** A binary tensor's bytes; `tensor` is its index. */
export interface BinarySpan extends Span {
  readonly tensor: number;
}

/** More tensors or dimensions than any model has; a bound on what a hostile header can make us build. */
const TENSORS_MAX = 1024;
const RANK_MAX = 32;

/** Null: `scan.fault` says why. */
export function readMessage(scan: JsonScanner, side: 'request' | 'answer'): Message | null {
  const holes: Hole[] = [];
  const tensors: Tensor[] = [];
  const names = new Keys();
  const tensorKey = side === 'request' ? 'inputs' : 'outputs';
  let hasTensors = false;
  let id: Message['id'] = null;
  let parameters: Parameters = NO_PARAMETERS;
  let sharesOutputs = false;

  scan.object((key, keyStart) => {
    switch (key) {
      case 'id': {
        if (scan.peekKind() === 'null') return scan.skip();
        if (scan.peekKind() !== 'string') return scan.fail('"id" must be a string');
        const start = scan.at;
        if (!scan.skip()) return false;
        id = { start, end: scan.at, keyStart };
        holes.push({ kind: 'id', tensor: 0, start, end: scan.at });
        return true;
      }
      case 'parameters': {
        parameters = readParameters(scan) ?? NO_PARAMETERS;
        return scan.fault === null;
      }
      case tensorKey: {
        hasTensors = true;
        return scan.array((index) => {
          if (index === TENSORS_MAX) return scan.fail(`"${tensorKey}" has more than ${TENSORS_MAX} tensors`);
          const tensor = readTensor(scan, tensorKey, index, holes);
          if (tensor === null) return false;
          if (!names.add(tensor.name)) return scan.fail(`"${tensorKey}" has ${quote(tensor.name)} twice`);
          return tensors.push(tensor) > 0;
        });
      }
      case 'outputs': {
        if (scan.peekKind() === 'null') return scan.skip();
        return scan.array(() =>
          scan.object((member) => {
            if (member !== 'parameters') return scan.skip();
            const read = readParameters(scan);
            if (read?.isShared === true) sharesOutputs = true;
            return read !== null;
          }),
        );
      }
      default:
        return scan.skip();
    }
  });
  if (scan.finish() && !hasTensors) scan.fail(`"${tensorKey}" is missing`);
  if (scan.fault !== null) return null;
  const { isSequence, timeoutUs } = parameters;
  return { tensors, holes, id, isSequence, timeoutUs, sharesOutputs };
}

function readTensor(scan: JsonScanner, tensorKey: string, index: number, holes: Hole[]): Tensor | null {
  let name: string | null = null;
  let datatype: string | null = null;
  let shape: readonly number[] | null = null;
  let data: Measure | null = null;
  let parameters: Parameters = NO_PARAMETERS;
  const isRead = scan.object((key) => {
    switch (key) {
      case 'name':
        return (name = scan.string()) !== null;
      case 'datatype':
        return (datatype = scan.string()) !== null;
      case 'shape':
        return (shape = readShape(scan, index, holes)) !== null;
      case 'parameters':
        parameters = readParameters(scan, index, holes) ?? NO_PARAMETERS;
        return scan.fault === null;
      case 'data': {
        if (scan.peekKind() === 'null') return scan.skip();
        if (scan.peekKind() !== 'array') return scan.fail('its "data" must be an array');
        data = scan.measure();
        if (data === null) return false;
        const kind = data.dims.length === 1 ? 'flat' : 'nested';
        holes.push({ kind, tensor: index, start: data.start + 1, end: data.end - 1 });
        return true;
      }
      default:
        return scan.skip();
    }
  });
  const tensor = isRead ? toTensor(scan, { name, datatype, shape, data, parameters }) : null;
  // labels are made only where a fault needs them: this is the hot path of small requests
  if (tensor === null && name !== null) scan.fault = `${tensorKey}[${index}] ${quote(name)}: ${scan.fault}`;
  else if (tensor === null) scan.fault = `${tensorKey}[${index}]: ${scan.fault}`;
  return tensor;
}

interface TensorParts {
  readonly name: string | null;
  readonly datatype: string | null;
  readonly shape: readonly number[] | null;
  readonly data: Measure | null;
  readonly parameters: Parameters;
}

function toTensor(scan: JsonScanner, parts: TensorParts): Tensor | null {
  const { name, datatype, shape, data, parameters } = parts;
  const { binaryBytes, isShared } = parameters;
  if (name === null || datatype === null || shape === null) {
    scan.fail(`it has no "${name === null ? 'name' : datatype === null ? 'datatype' : 'shape'}"`);
    return null;
  }
  let elements = 1;
  for (const size of shape) elements *= size;
  if (!Number.isSafeInteger(elements)) scan.fail(`its shape [${shape.join()}] is more than 2^53 elements`);
  else if (data !== null && binaryBytes !== null) scan.fail('it has both "data" and "binary_data_size"');
  else if (data === null && binaryBytes === null && !isShared) scan.fail('it has no data');
  else if (data !== null && data.leaves !== elements)
    scan.fail(`its shape [${shape.join()}] is ${elements} elements, but its data has ${data.leaves}`);
  return scan.fault === null ? { name, datatype, shape, elements, data, binaryBytes, isShared } : null;
}

function readShape(scan: JsonScanner, index: number, holes: Hole[]): readonly number[] | null {
  const shape: number[] = [];
  if (scan.peekKind() !== 'array') scan.fail('its "shape" must be an array');
  const isRead = scan.array((axis) => {
    if (axis === RANK_MAX) return scan.fail(`its shape has more than ${RANK_MAX} dimensions`);
    scan.peekKind();
    const start = scan.at;
    const size = scan.count();
    if (size === null) return scan.fail(`dimension ${axis} of its shape is no whole number from 0 to 2^53-1`);
    if (axis === 0) holes.push({ kind: 'rows', tensor: index, start, end: scan.at });
    return shape.push(size) > 0;
  });
  return isRead ? shape : null;
}

interface Parameters {
  readonly binaryBytes: number | null;
  readonly isShared: boolean;
  readonly isSequence: boolean;
  readonly timeoutUs: number | null;
}

const NO_PARAMETERS: Parameters = { binaryBytes: null, isShared: false, isSequence: false, timeoutUs: null };

/** With `holes`, those of a tensor, whose `binary_data_size` is cut out. Null: a fault. */
function readParameters(scan: JsonScanner, index = 0, holes: Hole[] | null = null): Parameters | null {
  if (scan.peekKind() === 'null') return scan.skip() ? NO_PARAMETERS : null;
  if (scan.peekKind() !== 'object') scan.fail('"parameters" must be an object');
  let { binaryBytes, isShared, isSequence, timeoutUs } = NO_PARAMETERS;
  const isRead = scan.object((key) => {
    if (key.startsWith('shared_memory_')) isShared = true;
    else if (key.startsWith('sequence_')) isSequence = true;
    else if (key === 'timeout') {
      const { numbers, kinds } = scan.measure() ?? {};
      if (kinds === LEAF.number && numbers !== undefined && !numbers.hasFraction && numbers.least > 0)
        timeoutUs = numbers.least;
      return true;
    } else if (key === 'binary_data_size' && holes !== null) {
      scan.peekKind();
      const start = scan.at;
      binaryBytes = scan.count();
      if (binaryBytes === null) return scan.fail('its "binary_data_size" is no whole number from 0 to 2^53-1');
      holes.push({ kind: 'size', tensor: index, start, end: scan.at });
      return true;
    }
    return scan.skip();
  });
  return isRead ? { binaryBytes, isShared, isSequence, timeoutUs } : null;
}

/** Binary tensors follow the JSON in the order in which it names them. */
export function locateBinaries(tensors: readonly Tensor[], jsonBytes: number): BinarySpan[] {
  const binaries: BinarySpan[] = [];
  let at = jsonBytes;
  for (let tensor = 0; tensor < tensors.length; tensor++) {
    const { binaryBytes } = tensors[tensor]!;
    if (binaryBytes === null) continue;
    binaries.push({ tensor, start: at, end: at + binaryBytes });
    at += binaryBytes;
  }
  return binaries;
}
