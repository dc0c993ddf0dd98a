import { describe, expect, test } from 'vitest';
import { isRefusal, type HeaderView } from '../../src/wire/codec.ts';
import { kserveV1 } from '../../src/wire/kserve-v1.ts';
import { json, toMessage } from './echo.ts';

const parse = (text: string) => kserveV1.parse(Buffer.from(text), {});
const member = (text: string) => {
  const parsed = parse(text);
  if (isRefusal(parsed)) throw new Error(parsed.refusal);
  return parsed;
};
const join = (...texts: string[]): string => toMessage(kserveV1.join(texts.map(member))).body.toString();
const split = (answer: string, texts: readonly string[], headers: HeaderView = {}) => {
  const result = kserveV1.split(Buffer.from(answer), headers, texts.map(member));
  return result.kind === 'split' ? result.payloads.map((payload) => toMessage(payload).body.toString()) : result;
};

describe('a V1 request', () => {
  test('is joined with its keys kept and every number as it was written', () => {
    expect(
      join(
        '{"signature_name":"s","instances":[9007199254740993, 1.0],"parameters":{"a":1}}',
        '{"signature_name":"s","instances":[ 1e-7 ],"parameters":{"a":1}}',
      ),
    ).toBe('{"signature_name":"s","instances":[9007199254740993, 1.0,1e-7],"parameters":{"a":1}}');
  });

  test.each([
    // what stands beside the instances
    ['{"instances":[1],"signature_name":"a"}', '{"instances":[1],"signature_name":"b"}'],
    ['{"instances":[1]}', '{"instances":[1],"parameters":{}}'],
    ['{"instances":[1],"parameters":{"t":1}}', '{"instances":[1],"parameters":{"t":1.0}}'],
    // what the instances are: unlike ones would fail each other's call
    ['{"instances":[1]}', '{"instances":["1"]}'],
    ['{"instances":[1]}', '{"instances":[null]}'],
    ['{"instances":[[1,2]]}', '{"instances":[[1,2,3]]}'],
    ['{"instances":[[1,2]]}', '{"instances":[[[1,2]]]}'],
    ['{"instances":[[1,2]]}', '{"instances":[[1,2],[3]]}'],
    ['{"instances":[{"a":1}]}', '{"instances":[{"b":1}]}'],
    ['{"instances":[{"a":[1]}]}', '{"instances":[{"a":[1,2]}]}'],
    ['{"instances":[{"a":1}]}', '{"instances":[{"a":1},{"a":"x"}]}'],
    ['{"instances":[{"a":1}]}', '{"instances":[1]}'],
  ])('does not share a call: %s and %s', (one, other) => {
    expect(member(one).key).not.toBe(member(other).key);
  });

  test.each([
    ['{"instances":[1]}', '{"instances":[2.5,-3]}'],
    ['{"instances":[[1,2]]}', '{"instances":[[3,4],[5,6]]}'],
    ['{"instances":["a"]}', '{"instances":["\\u00e9]\\"[", ""]}'],
    ['{"instances":[{"b64":"aGk="}]}', '{"instances":[{"b64":"eW8="},{"b64":""}]}'],
  ])('shares a call: %s and %s', (one, other) => {
    expect(member(one).key).toBe(member(other).key);
  });

  test('keeps long keys apart by their hash', () => {
    const long = (tail: string): string => `{"instances":[1],"prompt":"${'x'.repeat(5000)}${tail}"}`;
    expect(member(long('a')).key).toBe(member(long('a')).key);
    expect(member(long('a')).key).not.toBe(member(long('b')).key);
    expect(member(long('a')).key.length).toBeLessThan(100);
  });

  test.each([
    ['no instances at all', '{"instances":[]}', /empty/],
    ['instances that are no array', '{"instances":{"a":1}}', /array/],
    ['instances given twice', '{"instances":[1],"instances":[2]}', /twice/],
    ['instances given twice, once escaped', '{"instances":[1],"inst\\u0061nces":[2]}', /twice/],
    ['both forms', '{"instances":[1],"inputs":[1]}', /both/],
    ['a key that comes twice in an instance', '{"instances":[{"a":1,"a":2}]}', /twice/],
    ['instances that break out of their array', '{"instances":[1],"x":[2]],"y":[[3]}', /JSON/],
    ['NaN', '{"instances":[NaN]}', /JSON/],
    ['trailing bytes', '{"instances":[1]}, {"instances":[2]}', /JSON/],
  ])('is refused: %s', (_, text, reason) => {
    const parsed = parse(text);
    expect(isRefusal(parsed) && parsed.refusal).toMatch(reason);
  });

  test('goes alone in the columnar form, and in one that is not V1 at all', () => {
    expect(parse('{"inputs":[[1],[2]]}')).toMatchObject({ unbatchable: 'columnar', items: 2 });
    expect(parse('{"inputs":{"a":[1],"b":[2]}}')).toMatchObject({ unbatchable: 'columnar', items: 1 });
    expect(parse('{"inputs":[]}')).toMatchObject({ unbatchable: 'columnar', items: 1 });
    expect(parse('{"image":"x"}')).toMatchObject({ unbatchable: 'no-instances', items: 1 });
  });

  test('is read only where the headers say plain JSON', () => {
    expect(kserveV1.accepts({})).toBe(true);
    expect(kserveV1.accepts({ 'content-type': 'application/json; charset=utf-8' })).toBe(true);
    expect(kserveV1.accepts({ 'content-type': 'application/x-www-form-urlencoded' })).toBe(true); // curl -d
    expect(kserveV1.accepts({ 'content-type': 'application/json', 'content-encoding': 'identity' })).toBe(true);
    expect(kserveV1.accepts({ 'content-type': 'application/json; charset=utf-16' })).toBe(false);
    expect(kserveV1.accepts({ 'content-type': 'application/json', 'content-encoding': 'gzip' })).toBe(false);
    expect(kserveV1.accepts({ 'content-type': 'multipart/form-data; boundary=x' })).toBe(false);
    expect(kserveV1.accepts({ 'content-type': 'application/cloudevents+json' })).toBe(false);
    expect(kserveV1.accepts({ 'content-type': 'application/json', 'ce-specversion': '1.0' })).toBe(false);
  });
});

describe('a V1 answer', () => {
  const two = ['{"instances":[1]}', '{"instances":[2,3]}'];

  test('gives each member its predictions and all the other keys, byte for byte', () => {
    expect(split('{"deployed_model_id":"7","predictions":[9007199254740993, 1.0, 1e-7], "m":{"v":1.50}}', two)).toEqual(
      [
        '{"deployed_model_id":"7","predictions":[9007199254740993], "m":{"v":1.50}}',
        '{"deployed_model_id":"7","predictions":[1.0, 1e-7], "m":{"v":1.50}}',
      ],
    );
  });

  test('may hold NaN for one without costing the other its answer', () => {
    expect(split('{"predictions":[NaN,[1],{"a":"],["}]}', two)).toEqual([
      '{"predictions":[NaN]}',
      '{"predictions":[[1],{"a":"],["}]}',
    ]);
  });

  test('keeps its content type', () => {
    const result = kserveV1.split(
      Buffer.from('{"predictions":[1,2,3]}'),
      { 'content-type': 'application/json; a=b' },
      two.map(member),
    );
    expect(result.kind === 'split' && result.payloads.map(({ headers }) => headers['content-type'])).toEqual([
      'application/json; a=b',
      'application/json; a=b',
    ]);
  });

  test.each([
    ['too few', '{"predictions":[1,2]}', 2],
    ['too many', '{"predictions":[1,2,3,4]}', 4],
    ['one for all', '{"predictions":{"label":"cat"}}', 0],
    ['none', '{"label":"cat"}', 0],
    ['an empty list', '{"predictions":[]}', 0],
  ])('with %s is counted', (_, answer, got) => {
    expect(split(answer, two)).toEqual({ kind: 'count', expected: 3, got });
  });

  test.each([
    ['no JSON', 'OK'],
    ['torn', '{"predictions":[1,2'],
    ['predictions twice', '{"predictions":[1,2,3],"predictions":[4,5,6]}'],
    ['empty', ''],
    ['followed by a NUL', '{"predictions":[1,2,3]}\u0000'],
  ])('that is %s is malformed', (_, answer) => {
    expect(split(answer, two)).toMatchObject({ kind: 'malformed', reason: expect.stringMatching(/V1 answer/) });
  });

  test('that came compressed against our wish is malformed', () => {
    expect(split('{"predictions":[1,2,3]}', two, { 'content-encoding': 'gzip' })).toMatchObject({ kind: 'malformed' });
  });
});

test('a large body is spliced, not copied: the joined chunks are the callers’ own memory', () => {
  const body = json(`{"instances":[[${Array.from({ length: 1000 }, (_, index) => index).join()}]]}`).body;
  const parsed = kserveV1.parse(body, {});
  if (isRefusal(parsed)) throw new Error(parsed.refusal);
  const { chunks } = kserveV1.join([parsed, parsed]);
  const shared = chunks.filter((chunk) => chunk.buffer === body.buffer);
  expect(chunks.length - shared.length).toBeLessThanOrEqual(1); // the comma
});
