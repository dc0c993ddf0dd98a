import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { JsonScanner, type Measure } from '../../src/wire/json-scan.ts';
import { sliceElements } from '../../src/wire/json-slice.ts';
import { DEPTH_MAX, LEAF } from '../../src/wire/json-value.ts';
import { mutate } from '../contract/codec.ts';
import { numberText } from './arbitraries.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

/** Reads `{"v": value}` the way a codec does; the fault, or null. */
function read(body: Buffer, rule: 'strict' | 'lenient' = 'strict'): string | null {
  const scan = new JsonScanner(body, rule);
  scan.object(() => scan.skip());
  return scan.finish() ? null : String(scan.fault);
}

function measure(value: string, rule: 'strict' | 'lenient' = 'strict'): Measure {
  const scan = new JsonScanner(bytes(`{"v":${value}}`), rule);
  let measured: Measure | null = null;
  scan.object(() => (measured = scan.measure()) !== null);
  expect(scan.fault).toBeNull();
  return measured as unknown as Measure;
}

const nested = (depth: number): string => `{"v":${'['.repeat(depth)}${']'.repeat(depth)}}`;

describe('strict JSON', () => {
  test.each([
    '{}',
    ' \n{"v" : 1 }\t\r\n',
    '{"v":[0,-0,1.0,-1.5e-7,1E+3,9007199254740993,123456789012345678901234567890]}',
    '{"v":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00 😀 é"}',
    '{"v":[true,false,null,{},[],[[]],{"a":{"b":[1]}},""]}',
    '{"__proto__":1,"constructor":2}',
    '{"v":[1 , 2\n,\t3]}',
    '{"v":1e-400}',
    nested(DEPTH_MAX - 1),
  ])('is accepted: %s', (text) => {
    expect(read(bytes(text))).toBeNull();
  });

  test.each([
    ['an empty body', ''],
    ['whitespace only', ' \n '],
    ['an array at the top', '[1]'],
    ['a scalar at the top', '1'],
    ['a byte order mark', '\ufeff{"v":1}'],
    ['trailing bytes', '{"v":1} x'],
    ['a second object', '{"v":1}{"v":2}'],
    ['a trailing brace', '{"v":1}}'],
    ['a torn object', '{"v":{"a":1}'],
    ['a torn array', '{"v":[1,2}'],
    ['a torn string', '{"v":"abc}'],
    ['a trailing comma in an array', '{"v":[1,]}'],
    ['a trailing comma in an object', '{"v":1,}'],
    ['a leading comma', '{"v":[,1]}'],
    ['a missing colon', '{"v" 1}'],
    ['a missing value', '{"v":}'],
    ['a bare key', '{v:1}'],
    ['single quotes', "{'v':1}"],
    ['a comment', '{"v":1/*x*/}'],
    ['NaN', '{"v":[NaN]}'],
    ['Infinity', '{"v":[Infinity]}'],
    ['-Infinity', '{"v":[1,-Infinity]}'],
    ['a number beyond doubles', '{"v":[1e400]}'],
    ['a negative number beyond doubles', '{"v":-1e309}'],
    ['400 digits', `{"v":${'9'.repeat(400)}}`],
    ['a leading zero', '{"v":[01]}'],
    ['a leading plus', '{"v":+1}'],
    ['a bare minus', '{"v":[-]}'],
    ['no digit before the point', '{"v":.5}'],
    ['no digit after the point', '{"v":[1.]}'],
    ['no digit in the exponent', '{"v":[1e]}'],
    ['hexadecimal', '{"v":0x10}'],
    ['two numbers without a comma', '{"v":[1 2]}'],
    ['two values for a key', '{"v":1,2}'],
    ['a capital literal', '{"v":True}'],
    ['a torn literal', '{"v":tru}'],
    ['a raw newline in a string', '{"v":"a\nb"}'],
    ['a NUL in a string', '{"v":"a\u0000b"}'],
    ['an unknown escape', '{"v":"\\x41"}'],
    ['a short unicode escape', '{"v":"\\u12"}'],
    ['half a surrogate pair', '{"v":"\\ud83d"}'],
    ['the low half first', '{"v":"\\ude00\\ud83d"}'],
    ['a vertical tab as whitespace', '{"v":\u000b1}'],
    ['a non-breaking space', '{"v":\u00a01}'],
    ['64 levels of arrays in an object', nested(DEPTH_MAX)],
    ['a depth bomb', nested(100_000)],
    ['a bomb of objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['a key that comes twice', '{"v":1,"v":2}'],
    ['a key that comes twice, once escaped', '{"v":1,"\\u0076":2}'],
    ['1025 keys', `{${Array.from({ length: 1025 }, (_, index) => `"k${index}":1`).join()}}`],
    ['the 20th of 20 keys again', `{${Array.from({ length: 20 }, (_, index) => `"k${index}":1`).join()},"k19":1}`],
  ])('is refused: %s', (_, text) => {
    expect(read(bytes(text))).toEqual(expect.any(String));
  });

  test.each([
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate in UTF-8', [0xed, 0xa0, 0x80]],
    ['a lone continuation byte', [0x80]],
    ['a torn character', [0xe2, 0x82]],
  ])('is refused: %s', (_, hostile) => {
    expect(read(Buffer.concat([bytes('{"v":"'), Buffer.from(hostile), bytes('"}')]))).toBe('it is not UTF-8');
  });

  test('agrees with the platform on 20,000 mutated documents', () => {
    const random = createRandom(11);
    const seeds = [
      '{"a":[1,-2.5e3,0],"b":{"c":"x\\u00e9\\n","d":[[],[true,null]]}}',
      '{"inputs" : [ {"name":"é😀","shape":[2, 2],"data":[[1,2],[3.5,4]]} ] }',
      '{"k":"\\ud83d\\ude00","n":[-0,10,1E5],"o":{"p":{}}}',
    ].map(bytes);
    let valid = 0;
    for (let turn = 0; turn < 20_000; turn++) {
      const body = mutate(seeds[turn % seeds.length] as Buffer, random);
      const expected = isValid(body);
      if (expected) valid++;
      expect([read(body) === null, body.toString()]).toEqual([expected, body.toString()]);
    }
    expect(valid).toBeGreaterThan(1000);
  });
});

/** The rules in the platform's words: an object of UTF-8, finite numbers, whole pairs, no key twice at the top. */
function isValid(body: Buffer): boolean {
  let value: unknown;
  let isSound = true;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    value = JSON.parse(text, (key: string, item: unknown) => {
      if (typeof item === 'number' && !Number.isFinite(item)) isSound = false;
      if (typeof item === 'string' && !item.isWellFormed()) isSound = false;
      if (!key.isWellFormed()) isSound = false;
      return item;
    });
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    return isSound && countKeys(text) === Object.keys(value).length;
  } catch {
    return false;
  }
}

/** Keys at the top, by their colons. */
function countKeys(text: string): number {
  let depth = 0;
  let keys = 0;
  for (const token of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (token[0] === '{' || token[0] === '[') depth++;
    else if (token[0] === '}' || token[0] === ']') depth--;
    else if (token[0] === ':' && depth === 1) keys++;
  }
  return keys;
}

describe('lenient JSON, for answers', () => {
  test('takes the tokens that servers write for non-finite numbers, and nothing else that is wrong', () => {
    for (const text of ['{"v":[1,NaN,-1,Infinity,2,-Infinity]}', '{"v":1e999}', '{"v":"\\ud800"}', '{"v":NaN}'])
      expect([text, read(bytes(text), 'lenient')]).toEqual([text, null]);
    for (const text of ['{"v":nan}', '{"v":[-]}', '{"v":-Inf}', '{"v":1.}', '{"v":"a\nb"}'])
      expect([text, read(bytes(text), 'lenient')]).toEqual([text, expect.any(String)]);
  });

  test('counts them as numbers', () => {
    expect(measure('[1,NaN,-2,-Infinity,3]', 'lenient')).toMatchObject({ dims: [5], leaves: 5, kinds: LEAF.number });
  });
});

describe('a measured value', () => {
  test.each([
    ['1', [], 1, true],
    ['{"a":[1,2]}', [], 1, true],
    ['[]', [0], 0, true],
    ['[1,2,3]', [3], 3, true],
    ['[[1,2],[3,4],[5,6]]', [3, 2], 6, true],
    ['[[[1],[2]]]', [1, 2, 1], 2, true],
    ['[[],[]]', [2, 0], 0, true],
    ['[{"a":[1,[2]]},{"b":[]}]', [2], 2, true],
    ['[[1,2],[3]]', [2, 1], 3, false],
    ['[1,[2]]', [2, 1], 2, false],
    ['[[1],2]', [2, 1], 2, false],
    ['[[],[1]]', [2, 1], 1, false],
  ])('%s has dimensions %j, %d leaves, regular: %s', (value, dims, leaves, isRegular) => {
    const measured = measure(value);
    expect([measured.leaves, measured.isRegular]).toEqual([leaves, isRegular]);
    if (isRegular) expect(measured.dims).toEqual(dims);
  });

  test('tells the kinds of its leaves and what its numbers span', () => {
    expect(measure('[1,"a",true,null,{}]').kinds).toBe(31);
    expect(measure('[-3,250,17]').numbers).toMatchObject({ least: -3, most: 250, hasFraction: false });
    expect(measure('[1,2.0]').numbers.hasFraction).toBe(true);
    expect(measure('[4294967296]').numbers.most).toBe(4294967296);
    const wide = (text: string): readonly boolean[] => {
      const { exceedsInt64, exceedsUint64 } = measure(`[${text}]`).numbers;
      return [exceedsInt64, exceedsUint64];
    };
    expect(wide('9223372036854775807')).toEqual([false, false]);
    expect(wide('-9223372036854775808')).toEqual([false, false]);
    expect(wide('9223372036854775808')).toEqual([true, false]);
    expect(wide('-9223372036854775809')).toEqual([true, false]);
    expect(wide('18446744073709551615')).toEqual([true, false]);
    expect(wide('18446744073709551616')).toEqual([true, true]);
    expect(wide('100000000000000000000')).toEqual([true, true]);
  });
});

test('cutting an array into runs gives each run its own text', () => {
  const element = fc.oneof(numberText, fc.constantFrom('"],\\"["', '[1,[2,3]]', '{"a":[1,2],"b":"}"}', 'null'));
  fc.assert(
    fc.property(
      fc.array(fc.array(element, { maxLength: 4 }), { maxLength: 5 }),
      fc.constantFrom('', ' ', '\n'),
      (runs, gap) => {
        const text = `[${gap}${runs.flat().join(`${gap},${gap}`)}${gap}]`;
        const body = bytes(`{"v":${text}}`);
        const spans = sliceElements(
          body,
          { start: 5, end: body.length - 1 },
          runs.map((run) => run.length),
        );
        expect(spans.map(({ start, end }) => body.toString('utf8', start, end))).toEqual(
          runs.map((run) => run.join(`${gap},${gap}`)),
        );
      },
    ),
  );
});
