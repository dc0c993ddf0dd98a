// Tensors in binary form: their sizes checked, and cut along the first dimension. Fixed-size datatypes are packed; an
// element of BYTES is a 4-byte little-endian length and so many bytes.
import { toElementBytes } from './datatype.ts';
import { quote, type Span } from './json-scan.ts';
import type { BinarySpan, Tensor } from './oip-v2-message.ts';

const LENGTH_BYTES = 4;

/** Why the bytes behind the JSON are not the tensors it announces, as the end of a sentence; null when they are. */
export function findBinaryFault(
  body: Buffer,
  jsonBytes: number,
  tensors: readonly Tensor[],
  binaries: readonly BinarySpan[],
): string | null {
  const announced = (binaries.at(-1)?.end ?? jsonBytes) - jsonBytes;
  const come = body.length - jsonBytes;
  if (announced !== come) return `its "binary_data_size" add up to ${announced} bytes, but ${come} follow the JSON`;
  for (const span of binaries) {
    const { name, datatype, shape, elements } = tensors[span.tensor]!;
    const bytes = span.end - span.start;
    const elementBytes = toElementBytes(datatype);
    if (elementBytes === undefined) continue; // not a datatype we know, so its size is not ours to judge
    if (elementBytes === null && countByteStrings(body, span) !== elements)
      return `${quote(name)} has shape [${shape.join()}], but its ${bytes} bytes are not ${elements} length-prefixed elements`;
    if (elementBytes !== null && bytes !== elementBytes * elements)
      return `${quote(name)} has shape [${shape.join()}] of ${datatype}, ${elementBytes * elements} bytes, but "binary_data_size" is ${bytes}`;
  }
  return null;
}

/** Spans of consecutive runs of `rows[k]` rows; null when the datatype's size is not known. `findBinaryFault` was null. */
export function sliceRows(body: Buffer, span: Span, tensor: Tensor, rows: readonly number[]): Span[] | null {
  const elementBytes = toElementBytes(tensor.datatype);
  const perRow = tensor.shape.slice(1).reduce((product, size) => product * size, 1);
  if (elementBytes === undefined) return null;
  if (elementBytes === null) {
    return sliceByteStrings(
      body,
      span,
      rows.map((count) => count * perRow),
    );
  }
  let at = span.start;
  return rows.map((count) => {
    const start = at;
    at += count * perRow * elementBytes;
    return { start, end: at };
  });
}

/** Elements in the span; -1 when a length points past its end. */
function countByteStrings(body: Buffer, span: Span): number {
  let count = 0;
  let at = span.start;
  while (at < span.end) {
    if (span.end - at < LENGTH_BYTES) return -1;
    at += LENGTH_BYTES + body.readUInt32LE(at);
    count++;
  }
  return at === span.end ? count : -1;
}

/** Spans of consecutive runs of `counts[k]` elements of a span that holds exactly their sum. */
function sliceByteStrings(body: Buffer, span: Span, counts: readonly number[]): Span[] {
  let at = span.start;
  return counts.map((count) => {
    const start = at;
    for (let left = count; left > 0; left--) at += LENGTH_BYTES + body.readUInt32LE(at);
    return { start, end: at };
  });
}
