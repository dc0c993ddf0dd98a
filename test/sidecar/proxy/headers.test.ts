import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAnswerHeaders, readRequestHeaders, toCommonHeaders } from '../../../sidecar/proxy/headers.ts';

const keys = new Set(['authorization']);
const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
const value = fc.stringMatching(/^[\x21-\x7e]{0,12}$/);
const list = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());

describe('headers of a request', () => {
  test('what is named in Connection never passes, whatever the case', () => {
    fc.assert(
      fc.property(list, name, (raw, named) => {
        const { forward } = readRequestHeaders(raw, `keep-alive, ${named.toUpperCase()}`, keys);
        expect(forward.filter((_, i) => i % 2 === 0).map((at) => at.toLowerCase())).not.toContain(named.toLowerCase());
      }),
    );
  });

  test('end-to-end headers keep their order, case, values and number', () => {
    fc.assert(
      fc.property(list, (pairs) => {
        const raw = pairs.map((text, i) => (i % 2 === 0 ? `x-${text}` : text));
        expect(readRequestHeaders(raw, undefined, keys).forward).toEqual(raw);
      }),
    );
  });

  test('equal keys mean equal key headers, in number and order', () => {
    const key = (...values: string[]): string =>
      readRequestHeaders(
        values.flatMap((one) => ['Authorization', one]),
        undefined,
        keys,
      ).key;
    expect(key('a')).toBe(readRequestHeaders(['authorization', 'a', 'x', 'y'], undefined, keys).key);
    expect(new Set([key(), key('a'), key('b'), key('a', 'b'), key('b', 'a'), key('ab')]).size).toBe(6);
  });
});

test('a common header is one that every list holds with the same value', () => {
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 4 }), (lists) => {
      const common = toCommonHeaders(lists);
      for (let i = 0; i < common.length; i += 2) {
        for (const one of lists) {
          const pairs = one.flatMap((text, at) => (at % 2 === 0 ? [`${text.toLowerCase()}:${one[at + 1]}`] : []));
          expect(pairs).toContain(`${common[i]?.toLowerCase()}:${common[i + 1]}`);
        }
      }
      if (lists.length === 1) expect(common).toEqual(lists[0]);
    }),
  );
});

test.each([
  [['Content-Length', '3'], '3', true],
  [['Transfer-Encoding', 'chunked'], null, true],
  [['Transfer-Encoding', 'chunked', 'Content-Length', '3'], null, false],
  [['Transfer-Encoding', 'gzip, chunked'], null, false],
  [['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'], null, false],
])('the framing of an answer with %j', (raw, contentLength, isSound) => {
  const headers = readAnswerHeaders(
    [...raw, 'Connection', 'X-Hop', 'x-hop', '1', 'X-Kept', 'caf\xe9'].map((text) => Buffer.from(text, 'latin1')),
  );
  expect(headers).toMatchObject({ contentLength, isSound, forward: ['X-Kept', 'caf\xe9'] });
});
