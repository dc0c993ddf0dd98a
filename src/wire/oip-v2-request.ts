// What the JSON and the binary form of a V2 request share: the checks, the key, and the join.
import type { ParsedRequest, Payload, Refusal } from './codec.ts';
import { findBinaryFault } from './binary-tensor.ts';
import { isDataOf, toElementBytes } from './datatype.ts';
import { JsonScanner, type Span } from './json-scan.ts';
import { trim } from './json-slice.ts';
import { locateBinaries, readMessage, type BinarySpan, type Message, type Tensor } from './oip-v2-message.ts';
import { fillTemplate, toTemplateKey, totalBytes, type Hole } from './template.ts';

export interface ParsedV2 extends ParsedRequest {
  /** Where the JSON ends and binary tensors begin; the body's length when there are none. */
  readonly jsonBytes: number;
  readonly holes: readonly Hole[];
  /** The binary tensors in the order in which they stand in the body. */
  readonly binaries: readonly BinarySpan[];
  /** The caller's id as it stands in the JSON, quotes and all; null when it gave none. */
  readonly id: Span | null;
}

/**
 * The id of a merged call whose members have ids of their own: theirs would tie the call to one of them in the server's
 * log, and none at all makes KServe's server fail a request that it answers when it comes alone.
 */
const MERGED_ID = Buffer.from('"morphling"');
const COMMA = Buffer.from(',');

/** `json` is the body's JSON, the whole body without the extension. `name` opens the key: codecs never share a batch. */
export function parseV2(name: string, body: Buffer, jsonBytes: number): ParsedV2 | Refusal {
  const scan = new JsonScanner(jsonBytes === body.length ? body : body.subarray(0, jsonBytes), 'strict');
  const message = readMessage(scan, 'request');
  if (message === null) return { refusal: `the body is not a V2 request: ${scan.fault}` };
  const { tensors, holes } = message;
  const binaries = locateBinaries(tensors, jsonBytes);
  const items = toItems(tensors);
  const fault = items === 0 ? toEmptyFault(tensors) : findBinaryFault(body, jsonBytes, tensors, binaries);
  if (fault !== null) return { refusal: `the body is not a V2 request: ${fault}` };
  return {
    body,
    jsonBytes,
    items,
    key: toTemplateKey(name, body, jsonBytes, holes),
    unbatchable: toUnbatchable(message),
    timeoutMs: message.timeoutUs === null ? null : message.timeoutUs / 1000,
    holes,
    binaries,
    id: message.id,
  };
}

/** Fills the first member's template; binary tensors follow as slices, tensor by tensor. */
export function joinV2(members: readonly ParsedV2[], toHeaders: (jsonBytes: number) => Payload['headers']): Payload {
  const [first] = members;
  if (first === undefined) return { chunks: [], headers: toHeaders(0) };
  if (members.length === 1) return { chunks: [first.body], headers: toHeaders(first.jsonBytes) };
  const rows = String(members.reduce((sum, member) => sum + member.items, 0));
  const chunks = fillTemplate(first.body, first.jsonBytes, first.holes, (hole, index, chunks) => {
    switch (hole.kind) {
      case 'id':
        chunks.push(MERGED_ID);
        return;
      case 'rows':
        chunks.push(Buffer.from(rows));
        return;
      case 'size':
        chunks.push(Buffer.from(String(sumBinary(members, hole.tensor))));
        return;
      case 'flat':
      case 'nested':
        pushData(members, index, chunks);
        return;
      default:
        hole.kind satisfies never;
    }
  });
  const headers = toHeaders(totalBytes(chunks));
  for (const index of first.binaries.keys()) {
    for (const member of members) {
      const span = member.binaries[index]!;
      chunks.push(member.body.subarray(span.start, span.end));
    }
  }
  return { chunks, headers };
}

function pushData(members: readonly ParsedV2[], index: number, chunks: Buffer[]): void {
  let isFirst = true;
  for (const member of members) {
    const { start, end } = trim(member.body, member.holes[index]!);
    if (start === end) continue; // an inner dimension of 0: no elements, so no comma
    if (!isFirst) chunks.push(COMMA);
    isFirst = false;
    chunks.push(member.body.subarray(start, end));
  }
}

function sumBinary(members: readonly ParsedV2[], tensor: number): number {
  let bytes = 0;
  for (const { binaries } of members)
    for (const span of binaries) if (span.tensor === tensor) bytes += span.end - span.start;
  return bytes;
}

/** Rows of the longest tensor; a scalar is one item. 0: every tensor is empty. */
function toItems(tensors: readonly Tensor[]): number {
  let items = 0;
  for (const { shape } of tensors) items = Math.max(items, shape[0] ?? 1);
  return items;
}

function toEmptyFault(tensors: readonly Tensor[]): string {
  return tensors.length === 0 ? '"inputs" is empty' : 'the first dimension is 0: there is nothing to infer';
}

function toUnbatchable(message: Message): string | null {
  const { tensors } = message;
  const rows = tensors[0]?.shape[0];
  if (message.isSequence) return 'sequence';
  if (message.sharesOutputs) return 'shared-memory';
  for (const { isShared } of tensors) if (isShared) return 'shared-memory';
  if (rows === undefined) return 'scalar';
  for (const { shape } of tensors) if (shape[0] !== rows) return 'first-dimension';
  for (const { datatype, data, shape, elements } of tensors) {
    if (toElementBytes(datatype) === undefined) return 'datatype';
    if (data === null) continue;
    if (!isDataOf(datatype, data)) return 'data-type';
    if (data.dims.length > 1 && !(data.isRegular && isShaped(data.dims, shape, elements))) return 'data-shape';
  }
  return null;
}

/** The brackets of nested data say what the shape says, down to an empty dimension; only then is the top level its rows. */
function isShaped(dims: readonly number[], shape: readonly number[], elements: number): boolean {
  const isWhole = dims.length === shape.length || (elements === 0 && dims.length < shape.length);
  return isWhole && dims.every((size, axis) => size === shape[axis]);
}
