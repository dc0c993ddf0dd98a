// The datatypes of the Open Inference Protocol: their size in bytes, and which JSON text they can hold.
import type { Measure } from './json-scan.ts';
import { LEAF } from './json-value.ts';

interface Datatype {
  /** Of one element in binary form; null for BYTES, whose elements carry their own length. */
  readonly elementBytes: number | null;
  /** LEAF bits that may stand in JSON data. */
  readonly leaves: number;
  /** Integers only: bounds that a double holds exactly; the 64-bit ones have flags of their own. */
  readonly range?: readonly [number, number];
}

const floating = (elementBytes: number): Datatype => ({ elementBytes, leaves: LEAF.number });
const integer = (elementBytes: number, least: number, most: number): Datatype => ({
  elementBytes,
  leaves: LEAF.number,
  range: [least, most],
});

const DATATYPES: ReadonlyMap<string, Datatype> = new Map([
  ['BOOL', { elementBytes: 1, leaves: LEAF.boolean }],
  ['UINT8', integer(1, 0, 255)],
  ['UINT16', integer(2, 0, 65_535)],
  ['UINT32', integer(4, 0, 4_294_967_295)],
  ['UINT64', integer(8, 0, Infinity)],
  ['INT8', integer(1, -128, 127)],
  ['INT16', integer(2, -32_768, 32_767)],
  ['INT32', integer(4, -2_147_483_648, 2_147_483_647)],
  ['INT64', integer(8, -Infinity, Infinity)],
  ['FP16', floating(2)],
  ['BF16', floating(2)],
  ['FP32', floating(4)],
  ['FP64', floating(8)],
  ['BYTES', { elementBytes: null, leaves: LEAF.string }],
]);

/** Bytes of one element; null for BYTES; undefined for a datatype that the protocol does not name. */
export function toElementBytes(datatype: string): number | null | undefined {
  return DATATYPES.get(datatype)?.elementBytes;
}

/**
 * Every element of the JSON data is one of the datatype's values. Where it is not, the server has the last word, and
 * hears it from this caller alone: an out-of-range integer makes some of them fail the whole call.
 */
export function isDataOf(datatype: string, data: Measure): boolean {
  const type = DATATYPES.get(datatype);
  if (type === undefined || (data.kinds & ~type.leaves) !== 0) return false;
  if (type.range === undefined || data.leaves === 0) return true;
  const { numbers } = data;
  if (numbers.hasFraction || numbers.least < type.range[0] || numbers.most > type.range[1]) return false;
  if (datatype === 'INT64') return !numbers.exceedsInt64;
  return datatype !== 'UINT64' || !numbers.exceedsUint64;
}
