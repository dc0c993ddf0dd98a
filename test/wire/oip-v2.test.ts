import { describe, expect, test } from 'vitest';
import { isRefusal, type HeaderView } from '../../src/wire/codec.ts';
import type { ParsedV2 } from '../../src/wire/oip-v2-request.ts';
import { oipV2 } from '../../src/wire/oip-v2.ts';
import { toMessage } from './echo.ts';

const parse = (text: string) => oipV2.parse(Buffer.from(text), {});
const member = (text: string) => {
  const parsed = parse(text);
  if (isRefusal(parsed)) throw new Error(parsed.refusal);
  return parsed;
};
const refusal = (text: string): string => {
  const parsed = parse(text);
  return isRefusal(parsed) ? parsed.refusal : `accepted, ${parsed.unbatchable ?? 'batchable'}`;
};
const join = (...texts: string[]): string => toMessage(oipV2.join(texts.map(member))).body.toString();
const split = (answer: string, texts: readonly string[], headers: HeaderView = {}) => {
  const result = oipV2.split(Buffer.from(answer), headers, texts.map(member));
  return result.kind === 'split' ? result.payloads.map((payload) => toMessage(payload).body.toString()) : result;
};

/** One input; `rest` goes behind it. */
const request = (shape: string, data: string, { datatype = 'FP32', tensor = '', rest = '', id = '' } = {}): string =>
  `{${id}"inputs":[{"name":"x","shape":${shape},"datatype":"${datatype}"${tensor},"data":${data}}]${rest}}`;

describe('a V2 request', () => {
  test('is joined along the first dimension, its parameters and outputs kept', () => {
    const rest = ',"outputs":[{"name":"y","parameters":{"classification":2}}],"parameters":{"priority":1}';
    const tensor = ',"parameters":{"content_type":"np"}';
    expect(
      join(
        request('[1,2]', '[1.0,2]', { rest, tensor }),
        request('[2,2]', '[ 3,4,5e-7,9007199254740993 ]', { rest, tensor }),
      ),
    ).toBe(request('[3,2]', '[1.0,2,3,4,5e-7,9007199254740993]', { rest, tensor }));
  });

  test('gives a merged call a neutral id if its members have ids, and none if they have none', () => {
    // with a caller's id it would be logged as that caller's; without any, KServe's server fails what it answers alone
    const withId = (id: string): string => request('[1]', '[1]', { id: `"id":${id},` });
    expect(JSON.parse(join(withId('"a"'), withId('"b"')))).toMatchObject({ id: 'morphling' });
    expect(JSON.parse(join(withId('""'), withId('"b"')))).toMatchObject({ id: 'morphling' });
    expect(JSON.parse(join(request('[1]', '[1]'), request('[1]', '[2]')))).not.toHaveProperty('id');
    expect(member(withId('"a"')).key).toBe(member(withId('"b"')).key);
    expect(member(withId('"a"')).key).not.toBe(member(request('[1]', '[1]')).key);
  });

  test('may give null where a field is optional, as some clients do', () => {
    const text =
      '{"id":null,"parameters":null,"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":null,"data":[1]}],"outputs":null}';
    expect(member(text).unbatchable).toBeNull();
    expect(JSON.parse(join(text, text))).toMatchObject({ id: null, inputs: [{ shape: [2], data: [1, 1] }] });
  });

  test('splices nested data row by row, and never mixes it with flat data', () => {
    const [flat, nested] = [request('[2,2]', '[1,2,3,4]'), request('[2,2]', '[[1,2],[3,4]]')];
    expect(join(nested, request('[1,2]', '[[5,6]]'))).toBe(request('[3,2]', '[[1,2],[3,4],[5,6]]'));
    expect(member(flat).key).not.toBe(member(nested).key);
  });

  test('reads data that stands before its shape', () => {
    const text = (data: string, rows: number): string =>
      `{"inputs":[{"data":${data},"datatype":"FP32","shape":[${rows}],"name":"x"}]}`;
    expect(join(text('[1]', 1), text('[2,3]', 2))).toBe(text('[1,2,3]', 3));
  });

  test.each([
    ['inner shape', request('[1,2]', '[1,2]'), request('[1,1,2]', '[1,2]')],
    ['datatype', request('[1]', '[1]'), request('[1]', '[1]', { datatype: 'FP64' })],
    [
      'parameters',
      request('[1]', '[1]', { rest: ',"parameters":{"a":1}' }),
      request('[1]', '[1]', { rest: ',"parameters":{"a":2}' }),
    ],
    ['tensor parameters', request('[1]', '[1]', { tensor: ',"parameters":{"a":1}' }), request('[1]', '[1]')],
    [
      'outputs',
      request('[1]', '[1]', { rest: ',"outputs":[{"name":"a"}]' }),
      request('[1]', '[1]', { rest: ',"outputs":[{"name":"b"}]' }),
    ],
    ['keys we do not know', request('[1]', '[1]', { rest: ',"x":1' }), request('[1]', '[1]')],
    [
      'timeout',
      request('[1]', '[1]', { rest: ',"parameters":{"timeout":1}' }),
      request('[1]', '[1]', { rest: ',"parameters":{"timeout":2}' }),
    ],
  ])('does not share a call with one of another %s', (_, one, other) => {
    expect(member(one).key).not.toBe(member(other).key);
  });

  test.each([
    ['BOOL', '[true,false]'],
    ['UINT8', '[0,255]'],
    ['UINT16', '[0,65535]'],
    ['UINT32', '[0,4294967295]'],
    ['UINT64', '[0,18446744073709551615]'],
    ['INT8', '[-128,127]'],
    ['INT16', '[-32768,32767]'],
    ['INT32', '[-2147483648,2147483647]'],
    ['INT64', '[-9223372036854775808,9223372036854775807]'],
    ['FP16', '[1,0.5]'],
    ['BF16', '[-1,1e3]'],
    ['FP32', '[1,0.5]'],
    ['FP64', '[1,1e300]'],
    ['BYTES', '["a]","\\u00e9 \\"😀"]'],
  ])('of %s with the ends of its range may be joined', (datatype, data) => {
    expect(member(request('[2]', data, { datatype })).unbatchable).toBeNull();
  });

  test.each([
    ['BOOL', '[1]'],
    ['UINT8', '[256]'],
    ['UINT8', '[-1]'],
    ['UINT16', '[65536]'],
    ['UINT32', '[4294967296]'],
    ['UINT64', '[18446744073709551616]'],
    ['UINT64', '[-1]'],
    ['INT8', '[128]'],
    ['INT8', '[-129]'],
    ['INT16', '[32768]'],
    ['INT32', '[2147483648]'],
    ['INT64', '[9223372036854775808]'],
    ['INT64', '[1.5]'],
    ['INT32', '[1e2]'],
    ['FP32', '["1"]'],
    ['FP32', '[null]'],
    ['FP32', '[{"a":1}]'],
    ['BYTES', '[1]'],
  ])('of %s with data %s goes alone: some servers fail the whole call', (datatype, data) => {
    expect(member(request('[1]', data, { datatype })).unbatchable).toBe('data-type');
  });

  test.each([
    ['sequence', request('[1]', '[1]', { rest: ',"parameters":{"sequence_id":7}' })],
    ['sequence', request('[1]', '[1]', { rest: ',"parameters":{"sequence_start":true}' })],
    ['sequence', request('[1]', '[1]', { rest: ',"parameters":{"sequence_\\u0069d":7}' })],
    [
      'shared-memory',
      '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r","shared_memory_byte_size":4}}]}',
    ],
    [
      'shared-memory',
      request('[1]', '[1]', {
        rest: ',"outputs":[{"name":"a"},{"name":"y","parameters":{"shared_memory_region":"r"}},{"name":"b","parameters":{}}]',
      }),
    ],
    ['scalar', request('[]', '[1]')],
    ['datatype', request('[1]', '[1]', { datatype: 'FP8' })],
    ['datatype', request('[1]', '[1]', { datatype: '__proto__' })],
    ['data-shape', request('[2,2]', '[[1,2,3],[4]]')],
    ['data-shape', request('[2,2]', '[[1,2,3,4]]')],
    [
      'first-dimension',
      '{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]},{"name":"y","shape":[1],"datatype":"FP32","data":[1]}]}',
    ],
  ])('goes alone for %s: %s', (reason, text) => {
    expect(member(text).unbatchable).toBe(reason);
  });

  test('names its deadline in microseconds', () => {
    const timeout = (value: string) =>
      member(request('[1]', '[1]', { rest: `,"parameters":{"timeout":${value}}` })).timeoutMs;
    expect(timeout('250000')).toBe(250);
    expect(timeout('0')).toBeNull();
    expect(timeout('-5')).toBeNull();
    expect(timeout('1.5')).toBeNull();
    expect(timeout('"250000"')).toBeNull();
    expect(member(request('[1]', '[1]')).timeoutMs).toBeNull();
  });

  test.each([
    ['no items', request('[0,3]', '[]'), /nothing to infer/],
    ['a negative dimension', request('[-1,3]', '[1,2,3]'), /dimension 0 .* whole number/],
    ['a fractional dimension', request('[1.0]', '[1]'), /dimension 0 .* whole number/],
    ['an exponent for a dimension', request('[1e2]', '[1]'), /whole number/],
    ['a text for a dimension', request('["1"]', '[1]'), /whole number/],
    ['a dimension beyond 2^53', request('[9007199254740993]', '[1]'), /whole number/],
    ['a product beyond 2^53', request('[94906267,94906267]', '[1]'), /more than 2\^53/],
    ['a product that overflows to 0 in 64 bits', request('[4294967296,4294967296]', '[]'), /more than 2\^53/],
    ['33 dimensions', request(`[${Array.from({ length: 33 }, () => 1).join()}]`, '[1]'), /more than 32/],
    ['too few elements', request('[2,2]', '[1,2,3]'), /shape \[2,2\] is 4 elements, but its data has 3/],
    ['too many elements', request('[2,2]', '[[1,2],[3,4],[5,6]]'), /data has 6/],
    ['data that breaks out of its array', request('[1]', '[1]],"y":[[2]'), /JSON/],
    ['no data', '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}', /inputs\[0\] "x": it has no data/],
    ['no name', '{"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]}', /has no "name"/],
    ['no datatype', '{"inputs":[{"name":"x","shape":[1],"data":[1]}]}', /has no "datatype"/],
    ['no shape', '{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}', /has no "shape"/],
    ['data that is no array', request('[1]', '1'), /must be an array/],
    ['inputs that are no array', '{"inputs":{}}', /JSON/],
    ['no inputs', '{"inputs":[]}', /empty/],
    ['inputs missing', '{"id":"a"}', /"inputs" is missing/],
    [
      'an input twice',
      '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]},{"name":"\\u0078","shape":[1],"datatype":"FP32","data":[1]}]}',
      /twice/,
    ],
    ['inputs twice', '{"inputs":[],"inputs":[]}', /twice/],
    ['shape twice', request('[1]', '[1]', { tensor: ',"shape":[2]' }), /twice/],
    ['an id that is no string', request('[1]', '[1]', { id: '"id":7,' }), /"id" must be a string/],
    ['parameters that are no object', request('[1]', '[1]', { rest: ',"parameters":[]' }), /must be an object/],
    ['timeout twice', request('[1]', '[1]', { rest: ',"parameters":{"timeout":1,"timeout":2}' }), /twice/],
    [
      'binary data without its header',
      request('[1]', '[1]', { tensor: ',"parameters":{"binary_data_size":4}' }),
      /both/,
    ],
    [
      'binary data only, without its header',
      '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}',
      /add up to 4 bytes, but 0 follow/,
    ],
    ['NaN', request('[1]', '[NaN]'), /JSON/],
    [
      '1025 inputs',
      `{"inputs":[${Array.from({ length: 1025 }, (_, index) => `{"name":"${index}","shape":[1],"datatype":"FP32","data":[1]}`).join()}]}`,
      /more than 1024/,
    ],
  ])('is refused in one sentence: %s', (_, text, reason) => {
    expect(refusal(text)).toMatch(reason);
    expect(refusal(text)).not.toMatch(/\n/);
  });

  test('with an endless name is refused with a short sentence', () => {
    expect(refusal(`{"inputs":[{"name":"${'x'.repeat(100_000)}","shape":[1],"datatype":"FP32"}]}`).length).toBeLessThan(
      300,
    );
  });
});

describe('a V2 answer', () => {
  const id = (text: string) => ({ id: `"id":${text},` });
  const two = [request('[1,1]', '[1]', id('"a\\u00e9"')), request('[2,1]', '[2,3]', id('"b\\"]"'))];
  const noIds = [request('[1]', '[1]'), request('[2]', '[2,3]')];

  test('gives each member its rows, its own id and all else', () => {
    const answer = (id: string, rows: string, data: string, names: string): string =>
      `{"id":${id},"model_name":"m","model_version":"3","outputs":[{"name":"y","datatype":"FP32","shape":[${rows}, 2],"parameters":{"p":1},"data":${data}},{"name":"z","datatype":"BYTES","shape":[${rows}],"data":${names}}]}`;
    expect(split(answer('"morphling"', '3', '[1.0, 2,3e-7,4, 5,9007199254740993]', '["],[","\\"","é"]'), two)).toEqual([
      answer('"a\\u00e9"', '1', '[1.0, 2]', '["],["]'),
      answer('"b\\"]"', '2', '[3e-7,4, 5,9007199254740993]', '["\\"","é"]'),
    ]);
  });

  test("under headers that repeat the merged call's id says each member's own, as MLServer does", () => {
    const answer = '{"id":"morphling","outputs":[{"name":"y","datatype":"FP32","shape":[3],"data":[1,2,3]}]}';
    const headers = { 'ce-id': 'morphling', 'ce-requestid': 'morphling', 'ce-source': 'io.morphling' };
    const own = (one: string, other: string): unknown => {
      const texts = [request('[1]', '[1]', id(one)), request('[2]', '[2,3]', id(other))];
      const members = texts.map((text) => oipV2.parse(Buffer.from(text), {}) as ParsedV2);
      const result = oipV2.split(Buffer.from(answer), headers, members);
      return result.kind === 'split' ? result.payloads.map((payload) => payload.headers) : result;
    };
    const type = { 'content-type': 'application/json' };
    expect(own('"a"', '"b-2"')).toEqual([
      { ...type, 'ce-id': 'a', 'ce-requestid': 'a' },
      { ...type, 'ce-id': 'b-2', 'ce-requestid': 'b-2' },
    ]);
    // an id that no header may hold leaves the header as it came
    expect(own('"a\\r\\nx: y"', '"\\u2603"')).toEqual([type, type]);
  });

  test('nested, is cut at its top level', () => {
    const answer = (rows: number, data: string): string =>
      `{"outputs":[{"name":"y","datatype":"FP32","shape":[${rows},2],"data":${data}}]}`;
    expect(split(answer(3, '[[1,2],[3,4],[5,6]]'), noIds)).toEqual([answer(1, '[[1,2]]'), answer(2, '[[3,4],[5,6]]')]);
  });

  test.each([
    ['first', '{"id":"x" , "model_name":"m","outputs":[O]}', '{ "model_name":"m","outputs":[O]}'],
    ['between', '{"model_name":"m","id":"x","outputs":[O]}', '{"model_name":"m","outputs":[O]}'],
    ['last', '{"model_name":"m","outputs":[O] , "id":"x" }', '{"model_name":"m","outputs":[O]  }'],
  ])('with an id that nobody gave, standing %s, loses it', (_, answer, expected) => {
    const output = (rows: number, data: string): string =>
      `{"name":"y","datatype":"FP32","shape":[${rows}],"data":[${data}]}`;
    const put = (text: string, rows: number, data: string): string => text.replace('O', output(rows, data));
    const got = split(put(answer, 3, '1,2,3'), noIds);
    expect(got).toEqual([put(expected, 1, '1'), put(expected, 2, '2,3')]);
    for (const text of got as string[]) JSON.parse(text);
  });

  test('with outputs of no elements a row stays whole', () => {
    const answer = (rows: number): string =>
      `{"outputs":[{"name":"y","datatype":"FP32","shape":[${rows},0],"data":[]}]}`;
    expect(split(answer(3), noIds)).toEqual([answer(1), answer(2)]);
  });

  test('to one request alone is passed on as it is', () => {
    const answer = '{"id":"made up","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[NaN]}]}';
    expect(split(answer, [request('[1]', '[1]')])).toEqual([answer]);
  });

  test.each([
    ['too few rows', '{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1,2]}]}', 2],
    ['too many rows', '{"outputs":[{"name":"y","datatype":"FP32","shape":[4],"data":[1,2,3,4]}]}', 4],
    ['a scalar', '{"outputs":[{"name":"y","datatype":"FP32","shape":[],"data":[1]}]}', 0],
    ['no outputs', '{"outputs":[]}', 0],
    [
      'one output without a batch',
      '{"outputs":[{"name":"y","datatype":"FP32","shape":[3],"data":[1,2,3]},{"name":"z","datatype":"FP32","shape":[1],"data":[1]}]}',
      1,
    ],
  ])('with %s is counted', (_, answer, got) => {
    expect(split(answer, noIds)).toEqual({ kind: 'count', expected: 3, got });
  });

  test.each([
    ['no JSON', 'OK', {}],
    ['torn', '{"outputs":[{"name":"y"', {}],
    ['an error', '{"error":"x"}', {}],
    ['short of elements', '{"outputs":[{"name":"y","datatype":"FP32","shape":[3],"data":[1,2]}]}', {}],
    ['without data', '{"outputs":[{"name":"y","datatype":"FP32","shape":[3]}]}', {}],
    [
      'bracketed otherwise than shaped',
      '{"outputs":[{"name":"y","datatype":"FP32","shape":[3,2],"data":[[1,2,3],[4,5,6]]}]}',
      {},
    ],
    ['compressed', '{"outputs":[]}', { 'content-encoding': 'gzip' }],
    ['shorter than its header says', '{"outputs":[]}', { 'inference-header-content-length': '99' }],
    [
      'binary without saying so',
      '{"outputs":[{"name":"y","datatype":"FP32","shape":[3],"parameters":{"binary_data_size":12}}]}abcdefghijkl',
      {},
    ],
  ])('that is %s is malformed', (_, answer, headers) => {
    expect(split(answer, noIds, headers)).toMatchObject({ kind: 'malformed', reason: expect.stringMatching(/answer/) });
  });
});
