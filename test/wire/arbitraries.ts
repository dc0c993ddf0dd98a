// Groups of requests that may share a call, for property tests: hostile text in every place where text may stand.
import * as fc from 'fast-check';
import { json, type Message } from './echo.ts';

const TRICKY = ['"', '\\', ']', '[', '},{', ',', ':', '\\"', 'é', '😀', ' ', '\u0001', '\u2028', '{"instances":['];

/** Text with quotes, brackets, escapes and characters of every length in UTF-8, but no half surrogate. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.array(fc.constantFrom(...TRICKY), { maxLength: 4 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

/** The string as JSON, its characters escaped or not at random. */
const stringText: fc.Arbitrary<string> = fc.tuple(text, fc.boolean()).map(([value, isEscaped]) => {
  const plain = JSON.stringify(value);
  if (!isEscaped) return plain;
  return plain.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
});

/** Number texts that a round trip through a double would change, and ordinary ones. */
export const numberText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '0',
    '-0',
    '1.0',
    '1e-7',
    '9007199254740993',
    '1E+2',
    '-0.10',
    '1e308',
    '123456789012345678901234567890',
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.integer().map(String),
);

const space: fc.Arbitrary<string> = fc.constantFrom('', '', '', ' ', '\n', '\t \r\n');
const join = (parts: readonly string[], gap: string): string => parts.join(`${gap},${gap}`);

const ids: fc.Arbitrary<(index: number) => string> = fc.oneof(
  fc.constant(() => ''),
  stringText.map((id) => (index: number) => `"id":${JSON.stringify(`${JSON.parse(id)}${index}`)},`),
);

/** V1: one kind of instance for all members, one to four members of one to three instances. */
export const v1Group: fc.Arbitrary<readonly Message[]> = fc
  .tuple(
    fc.constantFrom<'number' | 'string' | 'row' | 'object'>('number', 'string', 'row', 'object'),
    fc.integer({ min: 0, max: 3 }),
    stringText,
    space,
  )
  .chain(([kind, width, key, gap]) => {
    const row = fc.array(numberText, { minLength: width, maxLength: width }).map((values) => `[${join(values, gap)}]`);
    const instance = {
      number: numberText,
      string: stringText,
      row,
      object: fc.tuple(stringText, row).map(([value, values]) => `{${key}:${value},"x] ":${values}}`),
    }[kind];
    const member = fc.array(instance, { minLength: 1, maxLength: 3 });
    return fc
      .array(member, { minLength: 1, maxLength: 4 })
      .map((members) =>
        members.map((instances) =>
          json(
            `{"signature_name":${key},"instances":${gap}[${gap}${join(instances, gap)}${gap}],"parameters":{"a":[1,{}]}}`,
          ),
        ),
      );
  });

interface Column {
  readonly name: string;
  readonly datatype: string;
  readonly inner: readonly number[];
  readonly form: 'flat' | 'nested' | 'binary';
  readonly parameters: string;
}

const element: Readonly<Record<string, fc.Arbitrary<string>>> = {
  FP32: numberText,
  INT64: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String), fc.integer().map(String)),
  UINT8: fc.integer({ min: 0, max: 255 }).map(String),
  BOOL: fc.boolean().map(String),
  BYTES: stringText,
};
const ELEMENT_BYTES: Readonly<Record<string, number>> = { FP32: 4, INT64: 8, UINT8: 1, BOOL: 1 };

const column = (forms: readonly Column['form'][]): fc.Arbitrary<Column> =>
  fc.record({
    name: stringText,
    datatype: fc.constantFrom(...Object.keys(element)),
    inner: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 }),
    form: fc.constantFrom(...forms),
    parameters: fc.constantFrom('', '"content_type":"np"', '"z":[null,"]"]'),
  });

const rows = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 });

/** V2: one to three inputs of any datatype, shape and form; ids for all members or none. */
function v2GroupOf(forms: readonly Column['form'][]): fc.Arbitrary<readonly Message[]> {
  const columns = fc.uniqueArray(column(forms), {
    minLength: 1,
    maxLength: 3,
    selector: ({ name }) => JSON.parse(name) as string,
  });
  return fc
    .tuple(columns, rows, ids, space)
    .chain(([columns, rows, id, gap]) =>
      fc.tuple(
        ...rows.map((count, index) =>
          fc
            .tuple(...columns.map((column) => tensor(column, count, gap)))
            .map((tensors) =>
              toV2Message(`{${id(index)}"inputs":[${tensors.map(([text]) => text).join()}]}`, tensors, forms),
            ),
        ),
      ),
    );
}

export const v2Group: fc.Arbitrary<readonly Message[]> = v2GroupOf(['flat', 'nested']);
export const v2BinaryGroup: fc.Arbitrary<readonly Message[]> = v2GroupOf(['flat', 'binary', 'binary']);

type TensorText = readonly [text: string, binary: Buffer];

function tensor(column: Column, count: number, gap: string): fc.Arbitrary<TensorText> {
  const shape = [count, ...column.inner];
  const elements = shape.reduce((product, size) => product * size, 1);
  const head = `{"name":${column.name},"shape":[${shape.join()}],"datatype":"${column.datatype}"`;
  if (column.form === 'binary') {
    return binaryData(column.datatype, elements).map((data) => {
      const size = `"binary_data_size":${data.length}`;
      return [`${head},"parameters":{${[size, column.parameters].filter(Boolean).join()}}}`, data];
    });
  }
  const values = fc.array(element[column.datatype] as fc.Arbitrary<string>, {
    minLength: elements,
    maxLength: elements,
  });
  return values.map((values) => {
    const data = column.form === 'flat' ? `[${gap}${join(values, gap)}${gap}]` : nest(values, shape, gap);
    const parameters = column.parameters === '' ? '' : `,"parameters":{${column.parameters}}`;
    return [`${head}${parameters},"data":${data}}`, Buffer.alloc(0)];
  });
}

function nest(values: readonly string[], [size = 0, ...inner]: readonly number[], gap: string): string {
  const perRow = inner.reduce((product, next) => product * next, 1);
  const rows = Array.from({ length: size }, (_, row) =>
    inner.length === 0 ? (values[row] as string) : nest(values.slice(row * perRow, (row + 1) * perRow), inner, gap),
  );
  return `[${gap}${join(rows, gap)}${gap}]`;
}

function binaryData(datatype: string, elements: number): fc.Arbitrary<Buffer> {
  const elementBytes = ELEMENT_BYTES[datatype];
  if (elementBytes !== undefined) {
    const length = elements * elementBytes;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
  }
  return fc
    .array(fc.uint8Array({ maxLength: 6 }), { minLength: elements, maxLength: elements })
    .map((values) => Buffer.concat(values.flatMap((value) => [toLength(value.length), value])));
}

export function toLength(bytes: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(bytes);
  return buffer;
}

function toV2Message(text: string, tensors: readonly TensorText[], forms: readonly Column['form'][]): Message {
  if (!forms.includes('binary')) return json(text);
  const header = Buffer.from(text);
  return {
    body: Buffer.concat([header, ...tensors.map(([, data]) => data)]),
    headers: { 'inference-header-content-length': String(header.length), 'content-type': 'application/octet-stream' },
  };
}
