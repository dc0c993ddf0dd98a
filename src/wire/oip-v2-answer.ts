// A V2 answer taken apart, JSON or binary: a server may answer either form to either, as `binary_data` asks.
import { findBinaryFault, sliceRows } from './binary-tensor.ts';
import type { HeaderView, Payload, SplitResult } from './codec.ts';
import { isIdentity } from './headers.ts';
import { JsonScanner, type Measure, type Span } from './json-scan.ts';
import { sliceElements } from './json-slice.ts';
import { locateBinaries, readMessage, type Message } from './oip-v2-message.ts';
import type { ParsedV2 } from './oip-v2-request.ts';
import { fillTemplate, totalBytes, type Hole } from './template.ts';

/** Header of the binary tensor extension: bytes of JSON before the tensors. */
export const HEADER_LENGTH = 'inference-header-content-length';

/** Each member gets its rows of every output and its own id; all else in the answer goes to everyone as it came. */
export function splitV2(body: Buffer, headers: HeaderView, members: readonly ParsedV2[]): SplitResult {
  if (!isIdentity(headers)) return malformed('it is compressed, and was asked not to be');
  const jsonBytes = toJsonBytes(headers, body);
  if (jsonBytes === null) return malformed(`${HEADER_LENGTH} is not a length within the body`);
  const scan = new JsonScanner(body.subarray(0, jsonBytes), 'lenient');
  const message = readMessage(scan, 'answer');
  if (message === null) return malformed(String(scan.fault));
  const { tensors } = message;
  const binaries = locateBinaries(tensors, jsonBytes);
  const fault = findBinaryFault(body, jsonBytes, tensors, binaries);
  if (fault !== null) return malformed(fault);

  const rows = members.map((member) => member.items);
  const expected = rows.reduce((sum, items) => sum + items, 0);
  const unlike = tensors.find(({ shape }) => shape[0] !== expected);
  if (tensors.length === 0 || unlike !== undefined) return { kind: 'count', expected, got: unlike?.shape[0] ?? 0 };

  const isBinary = headers[HEADER_LENGTH] !== undefined;
  const type = headers['content-type'] ?? (isBinary ? 'application/octet-stream' : 'application/json');
  if (members.length === 1)
    return { kind: 'split', payloads: [{ chunks: [body], headers: toHeaders(type, isBinary, jsonBytes) }] };

  const dataSlices = tensors.map(({ data, shape }) => (data === null ? [] : sliceData(body, data, shape, rows)));
  const binarySlices = tensors.map((): readonly Span[] => []);
  for (const span of binaries) {
    const tensor = tensors[span.tensor]!;
    const slices = sliceRows(body, span, tensor, rows);
    if (slices === null) return malformed(`the size of datatype ${tensor.datatype} is not known`);
    binarySlices[span.tensor] = slices;
  }
  if (dataSlices.includes(null)) return malformed('the brackets of its data are not its shape');

  const holes = toAnswerHoles(body, message, members[0]?.id !== null);
  const idHeaders = toIdHeaders(body, message, headers);
  const payloads = members.map((member, index): Payload => {
    const chunks = fillTemplate(body, jsonBytes, holes, (hole, _, chunks) => {
      const binary = binarySlices[hole.tensor]?.[index];
      const data = dataSlices[hole.tensor]?.[index];
      switch (hole.kind) {
        case 'id':
          if (member.id !== null) chunks.push(member.body.subarray(member.id.start, member.id.end));
          return;
        case 'rows':
          chunks.push(Buffer.from(String(member.items)));
          return;
        case 'size':
          if (binary !== undefined) chunks.push(Buffer.from(String(binary.end - binary.start)));
          return;
        case 'flat':
        case 'nested':
          if (data !== undefined) chunks.push(body.subarray(data.start, data.end));
          return;
        default:
          hole.kind satisfies never;
      }
    });
    const memberHeaders = { ...toHeaders(type, isBinary, totalBytes(chunks)), ...toOwnIds(member, idHeaders) };
    for (const { tensor } of binaries) {
      const span = binarySlices[tensor]?.[index];
      if (span !== undefined) chunks.push(body.subarray(span.start, span.end));
    }
    return { chunks, headers: memberHeaders };
  });
  return { kind: 'split', payloads };
}

/** The JSON's length: all of the body without the header; null when the header is not a length within the body. */
export function toJsonBytes(headers: HeaderView, body: Buffer): number | null {
  const text = headers[HEADER_LENGTH];
  if (text === undefined) return body.length;
  return /^[0-9]{1,15}$/.test(text) && Number(text) <= body.length ? Number(text) : null;
}

function malformed(reason: string): SplitResult {
  return { kind: 'malformed', reason: `the answer is not a V2 answer: ${reason}` };
}

function toHeaders(type: string, isBinary: boolean, jsonBytes: number): Payload['headers'] {
  return isBinary ? { 'content-type': type, [HEADER_LENGTH]: String(jsonBytes) } : { 'content-type': type };
}

/** Headers that repeat the answer's id, as MLServer's `ce-id` and `ce-requestid` do. */
function toIdHeaders(body: Buffer, { id }: Message, headers: HeaderView): readonly string[] {
  const text = id === null ? null : toText(body, id);
  return text === null ? [] : Object.keys(headers).filter((name) => headers[name] === text);
}

/** The same headers with the member's own id, if it gave one that a header can hold. */
function toOwnIds({ body, id }: ParsedV2, names: readonly string[]): Record<string, string> {
  const text = id === null || names.length === 0 ? null : toText(body, id);
  if (text === null || !/^[\x21-\x7e]+$/.test(text)) return {};
  return Object.fromEntries(names.map((name) => [name, text]));
}

function toText(body: Buffer, { start, end }: Span): string | null {
  const text: unknown = JSON.parse(body.toString('utf8', start, end));
  return typeof text === 'string' ? text : null;
}

/** Null when the top level of nested data is not the first dimension. */
function sliceData(body: Buffer, data: Measure, shape: readonly number[], rows: readonly number[]): Span[] | null {
  const perRow = shape.slice(1).reduce((product, size) => product * size, 1);
  if (data.dims.length === 1)
    return sliceElements(
      body,
      data,
      rows.map((count) => count * perRow),
    );
  return data.dims[0] === shape[0] ? sliceElements(body, data, rows) : null;
}

/** Where members gave no id, one that the server made up for the merged call is cut out with its comma. */
function toAnswerHoles(body: Buffer, message: Message, haveIds: boolean): readonly Hole[] {
  if (haveIds || message.id === null) return message.holes;
  let { keyStart: start, end } = message.id;
  const comma = body.indexOf(',', end);
  const brace = body.indexOf('}', end);
  if (comma !== -1 && comma < brace) end = comma + 1;
  else start = body.lastIndexOf(',', start);
  return message.holes.map((hole) => (hole.kind === 'id' ? { ...hole, start, end } : hole));
}
