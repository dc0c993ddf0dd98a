// Tensor data of the V2 protocol: JSON values <-> little-endian bytes (the binary tensor extension).

/** One input or output tensor, its data either as JSON values or as raw little-endian bytes. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[] | Buffer;
}

/** Bytes per element; 0 = BYTES, whose elements carry their length; null = no JSON form (FP16, BF16). */
export function toWidth(datatype: string): number | null {
  const widths: Readonly<Record<string, number>> = {
    BOOL: 1,
    UINT8: 1,
    INT8: 1,
    UINT16: 2,
    INT16: 2,
    UINT32: 4,
    INT32: 4,
    FP32: 4,
    UINT64: 8,
    INT64: 8,
    FP64: 8,
    BYTES: 0,
  };
  return widths[datatype] ?? null;
}

/** The data as JSON values, row-major. */
export function toValues(tensor: Tensor): readonly unknown[] {
  if (!Buffer.isBuffer(tensor.data)) return tensor.data;
  const bytes = tensor.data;
  if (tensor.datatype === 'BYTES') {
    const values: string[] = [];
    for (let at = 0; at + 4 <= bytes.length;) {
      const length = bytes.readUInt32LE(at);
      values.push(bytes.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
    }
    return values;
  }
  const width = toWidth(tensor.datatype) ?? 1;
  return Array.from({ length: bytes.length / width }, (_, index) => READ[tensor.datatype]?.(bytes, index * width));
}

/** The data as raw little-endian bytes; BYTES elements each behind a 32-bit length. */
export function toBytes(tensor: Tensor): Buffer {
  if (Buffer.isBuffer(tensor.data)) return tensor.data;
  if (tensor.datatype === 'BYTES')
    return Buffer.concat(
      tensor.data.flatMap((value) => {
        const text = Buffer.from(String(value));
        const length = Buffer.alloc(4);
        length.writeUInt32LE(text.length);
        return [length, text];
      }),
    );
  const width = toWidth(tensor.datatype) ?? 1;
  const bytes = Buffer.alloc(width * tensor.data.length);
  for (const [index, value] of tensor.data.entries()) WRITE[tensor.datatype]?.(bytes, Number(value), index * width);
  return bytes;
}

const READ: Readonly<Record<string, (bytes: Buffer, at: number) => number | boolean>> = {
  BOOL: (bytes, at) => bytes[at] !== 0,
  UINT8: (bytes, at) => bytes.readUInt8(at),
  INT8: (bytes, at) => bytes.readInt8(at),
  UINT16: (bytes, at) => bytes.readUInt16LE(at),
  INT16: (bytes, at) => bytes.readInt16LE(at),
  UINT32: (bytes, at) => bytes.readUInt32LE(at),
  INT32: (bytes, at) => bytes.readInt32LE(at),
  UINT64: (bytes, at) => Number(bytes.readBigUInt64LE(at)),
  INT64: (bytes, at) => Number(bytes.readBigInt64LE(at)),
  FP32: (bytes, at) => bytes.readFloatLE(at),
  FP64: (bytes, at) => bytes.readDoubleLE(at),
};

const WRITE: Readonly<Record<string, (bytes: Buffer, value: number, at: number) => void>> = {
  BOOL: (bytes, value, at) => bytes.writeUInt8(value === 0 ? 0 : 1, at),
  UINT8: (bytes, value, at) => bytes.writeUInt8(value & 0xff, at),
  INT8: (bytes, value, at) => bytes.writeInt8((value << 24) >> 24, at),
  UINT16: (bytes, value, at) => bytes.writeUInt16LE(value & 0xffff, at),
  INT16: (bytes, value, at) => bytes.writeInt16LE((value << 16) >> 16, at),
  UINT32: (bytes, value, at) => bytes.writeUInt32LE(value >>> 0, at),
  INT32: (bytes, value, at) => bytes.writeInt32LE(value | 0, at),
  UINT64: (bytes, value, at) => bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(Math.trunc(value))), at),
  INT64: (bytes, value, at) => bytes.writeBigInt64LE(BigInt.asIntN(64, BigInt(Math.trunc(value))), at),
  FP32: (bytes, value, at) => bytes.writeFloatLE(value, at),
  FP64: (bytes, value, at) => bytes.writeDoubleLE(value, at),
};
