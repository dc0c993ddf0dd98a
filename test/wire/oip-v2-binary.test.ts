import { describe, expect, test } from 'vitest';
import { isRefusal, type HeaderView } from '../../src/wire/codec.ts';
import { findCodec } from '../../src/wire/codecs.ts';
import { oipV2Binary } from '../../src/wire/oip-v2-binary.ts';
import { oipV2 } from '../../src/wire/oip-v2.ts';
import { matchRoute } from '../../src/wire/route.ts';
import { toLength } from './arbitraries.ts';
import { toMessage, type Message } from './echo.ts';

const LENGTH = 'inference-header-content-length';

function message(header: string, ...tensors: readonly (Buffer | string)[]): Message {
  const json = Buffer.from(header);
  const body = Buffer.concat([json, ...tensors.map((tensor) => Buffer.from(tensor))]);
  return { body, headers: { [LENGTH]: String(json.length), 'content-type': 'application/octet-stream' } };
}

const parse = ({ body, headers }: Message) => oipV2Binary.parse(body, headers);
const member = (request: Message) => {
  const parsed = parse(request);
  if (isRefusal(parsed)) throw new Error(parsed.refusal);
  return parsed;
};
const input = (shape: string, bytes: number, datatype = 'INT8', name = 'x'): string =>
  `{"name":"${name}","shape":${shape},"datatype":"${datatype}","parameters":{"binary_data_size":${bytes}}}`;
const inputs = (...texts: readonly string[]): string => `{"inputs":[${texts.join()}]}`;
const byteStrings = (...texts: readonly string[]): Buffer =>
  Buffer.concat(texts.flatMap((text) => [toLength(Buffer.byteLength(text)), Buffer.from(text)]));

describe('a binary V2 request', () => {
  test('is joined tensor by tensor, with the header and its length made anew', () => {
    const mixed = (rows: number, data: string): string =>
      inputs(
        input(`[${rows},2]`, 2 * rows),
        `{"name":"j","shape":[${rows}],"datatype":"FP32","data":[${data}]}`,
        input(`[${rows}]`, rows, 'BOOL', 'z'),
      );
    const joined = toMessage(
      oipV2Binary.join([member(message(mixed(1, '1.0'), 'ab', 'A')), member(message(mixed(2, '2,3'), 'cdef', 'BC'))]),
    );
    expect(joined).toEqual(message(mixed(3, '1.0,2,3'), 'abcdef', 'ABC'));
  });

  test('sends the tensors as slices of the callers’ memory', () => {
    const one = message(inputs(input('[1,100000]', 100_000)), Buffer.alloc(100_000, 1));
    const { chunks } = oipV2Binary.join([member(one), member(one)]);
    expect(chunks.filter((chunk) => chunk.length === 100_000 && chunk.buffer === one.body.buffer)).toHaveLength(2);
  });

  test('never shares a call with the same tensor as JSON', () => {
    const asJson = oipV2.parse(Buffer.from('{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}'), {});
    if (isRefusal(asJson)) throw new Error(asJson.refusal);
    expect(member(message(inputs(input('[1]', 1)), 'a')).key).not.toBe(asJson.key);
    const mixed = message('{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}');
    expect(member(mixed).key).not.toBe(asJson.key);
  });

  test.each([
    ['FP32', 4],
    ['FP64', 8],
    ['FP16', 2],
    ['BF16', 2],
    ['INT64', 8],
    ['UINT32', 4],
    ['UINT16', 2],
    ['BOOL', 1],
  ])('of %s takes exactly its bytes', (datatype, elementBytes) => {
    const bytes = 3 * elementBytes;
    expect(member(message(inputs(input('[3]', bytes, datatype)), Buffer.alloc(bytes))).unbatchable).toBeNull();
    expect(parse(message(inputs(input('[3]', bytes - 1, datatype)), Buffer.alloc(bytes - 1)))).toHaveProperty(
      'refusal',
    );
  });

  test('of length 0 is Triton’s raw form and goes alone', () => {
    expect(parse({ body: Buffer.from([1, 2, 3]), headers: { [LENGTH]: '0' } })).toMatchObject({
      unbatchable: 'raw-binary',
      items: 1,
    });
  });

  test('of a datatype we do not know goes alone', () => {
    expect(member(message(inputs(input('[1]', 3, 'FP24')), 'abc')).unbatchable).toBe('datatype');
  });

  const header = inputs(input('[2]', 2));
  test.each<[string, Message, RegExp]>([
    ['a length beyond the body', { body: Buffer.from(header), headers: { [LENGTH]: '9999' } }, /within/],
    ['a negative length', { body: Buffer.from(header), headers: { [LENGTH]: '-1' } }, /within/],
    ['a length that is no number', { body: Buffer.from(header), headers: { [LENGTH]: '0x10' } }, /within/],
    ['two lengths', { body: Buffer.from(`${header}ab`), headers: { [LENGTH]: `${header.length}, 5` } }, /within/],
    ['an empty length', { body: Buffer.from(header), headers: { [LENGTH]: '' } }, /within/],
    [
      'a length that cuts the JSON',
      { body: Buffer.from(`${header}ab`), headers: { [LENGTH]: String(header.length - 1) } },
      /JSON/,
    ],
    [
      'a length that takes in a tensor',
      { body: Buffer.from(`${header}ab`), headers: { [LENGTH]: String(header.length + 1) } },
      /JSON/,
    ],
    ['too few bytes', message(header, 'a'), /add up to 2 bytes, but 1 follow/],
    ['too many bytes', message(header, 'abc'), /add up to 2 bytes, but 3 follow/],
    ['a size that is not the shape’s', message(inputs(input('[2]', 3)), 'abc'), /2 bytes, but "binary_data_size" is 3/],
    ['sizes that only add up', message(inputs(input('[2]', 1), input('[2]', 3, 'INT8', 'y')), 'abcd'), /"x" has shape/],
    ['a negative size', message(inputs(input('[2]', -2))), /whole number/],
    ['a size beyond 2^53', message(inputs(input('[2]', 1e300)), 'ab'), /whole number/],
    [
      'data and size',
      message(
        '{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1],"parameters":{"binary_data_size":1}}]}',
        'a',
      ),
      /both/,
    ],
    ['a byte string past the end', message(inputs(input('[1]', 6, 'BYTES')), toLength(3), 'ab'), /length-prefixed/],
    [
      'a byte string of 4 GiB',
      message(inputs(input('[1]', 4, 'BYTES')), Buffer.from([255, 255, 255, 255])),
      /length-prefixed/,
    ],
    ['a torn length', message(inputs(input('[1]', 3, 'BYTES')), 'abc'), /length-prefixed/],
    [
      'one byte string too many',
      message(inputs(input('[1]', 8, 'BYTES')), byteStrings('', '')),
      /not 1 length-prefixed/,
    ],
    ['no items', message(inputs(input('[0]', 0))), /nothing to infer/],
  ])('is refused: %s', (_, request, reason) => {
    const parsed = parse(request);
    expect(isRefusal(parsed) ? parsed.refusal : 'accepted').toMatch(reason);
  });
});

describe('a binary V2 answer', () => {
  const asked = [message(inputs(input('[1]', 1)), 'a'), message(inputs(input('[2]', 2)), 'bc')];
  const split = ({ body, headers }: Message, codec = oipV2Binary) => {
    const result = codec.split(body, headers, asked.map(member));
    return result.kind === 'split' ? result.payloads.map(toMessage) : result;
  };
  const outputs = (...texts: readonly string[]): string => `{"model_name":"m","outputs":[${texts.join()}]}`;

  test('is cut along the first dimension, byte strings too', () => {
    const answer = (rows: number, bytes: number): string =>
      outputs(
        input(`[${rows},2]`, 8 * rows, 'FP32', 'f'),
        `{"name":"j","shape":[${rows}],"datatype":"INT8","data":[${[1, 2, 3].slice(0, rows).join()}]}`,
        input(`[${rows},1]`, bytes, 'BYTES', 'b'),
      );
    const f = Buffer.from(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);
    const got = split(message(answer(3, 4 + 2 + 4 + 4 + 3), f, byteStrings('é', '', 'abc')));
    expect(got).toEqual([
      message(answer(1, 6), f.subarray(0, 8), byteStrings('é')),
      message(answer(2, 11).replace('[1,2]', '[2,3]'), f.subarray(8), byteStrings('', 'abc')),
    ]);
  });

  test('is understood when the request was JSON: a server may choose the form', () => {
    const answer = message(outputs(input('[3]', 3)), 'xyz');
    expect(split(answer, oipV2)).toEqual([
      message(outputs(input('[1]', 1)), 'x'),
      message(outputs(input('[2]', 2)), 'yz'),
    ]);
  });

  test('may be JSON after all', () => {
    const answer = (rows: number, data: string): Message => ({
      body: Buffer.from(outputs(`{"name":"y","shape":[${rows}],"datatype":"INT8","data":[${data}]}`)),
      headers: { 'content-type': 'application/json' },
    });
    expect(split(answer(3, '1,2,3'))).toEqual([answer(1, '1'), answer(2, '2,3')]);
  });

  test('with another number of rows is counted', () => {
    expect(split(message(outputs(input('[2]', 2)), 'xy'))).toEqual({ kind: 'count', expected: 3, got: 2 });
  });

  test.each([
    ['short', message(outputs(input('[3]', 3)), 'xy')],
    ['long', message(outputs(input('[3]', 3)), 'wxyz')],
    ['of a wrong size', message(outputs(input('[3]', 4)), 'wxyz')],
    ['of torn byte strings', message(outputs(input('[3]', 12, 'BYTES')), toLength(9), toLength(0), toLength(0))],
    ['of an unknown datatype', message(outputs(input('[3]', 3, 'FP8')), 'xyz')],
  ])('that is %s is malformed', (_, answer) => {
    expect(split(answer)).toMatchObject({ kind: 'malformed' });
  });
});

test('the headers choose the codec', () => {
  const v2 = matchRoute('POST', '/v2/models/m/infer');
  const name = (headers: HeaderView): string | undefined => findCodec(v2, headers)?.name;
  expect(name({ 'content-type': 'application/json' })).toBe('oip-v2');
  expect(name({ 'content-type': 'application/octet-stream', [LENGTH]: '10' })).toBe('oip-v2-binary');
  expect(name({ [LENGTH]: '10' })).toBe('oip-v2-binary');
  // What tritonclient's asyncio flavour sends: JSON under the name of bytes, and no length of a JSON part.
  expect(name({ 'content-type': 'application/octet-stream' })).toBe('oip-v2');
  expect(name({ 'content-type': 'multipart/form-data; boundary=x' })).toBeUndefined();
  expect(name({ [LENGTH]: '10', 'content-encoding': 'gzip' })).toBeUndefined();
  expect(findCodec(matchRoute('POST', '/v1/models/m:predict'), {})?.name).toBe('kserve-v1');
  expect(findCodec(matchRoute('POST', '/v2/models/m/generate'), {})).toBeNull();
});
