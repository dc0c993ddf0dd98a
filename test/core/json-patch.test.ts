import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPatch, fromPointer, isEqualJson, type JsonPatch, toPointer } from '../../src/core/json-patch.ts';

describe('a JSON patch', () => {
  // After the cases of RFC 6902, appendix A, with values of our own.
  test.each<[string, unknown, JsonPatch, unknown]>([
    ['adds a member', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['adds to a list before an index', { l: [1, 3] }, [{ op: 'add', path: '/l/1', value: 2 }], { l: [1, 2, 3] }],
    ['removes a member', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
    ['removes from a list', { l: [1, 2, 3] }, [{ op: 'remove', path: '/l/1' }], { l: [1, 3] }],
    ['replaces a value', { a: 1, b: 2 }, [{ op: 'replace', path: '/a', value: 9 }], { a: 9, b: 2 }],
    ['replaces in a list', { l: [1, 2] }, [{ op: 'replace', path: '/l/0', value: 9 }], { l: [9, 2] }],
    ['moves a value', { a: { x: 1 }, b: {} }, [{ op: 'move', from: '/a/x', path: '/b/y' }], { a: {}, b: { y: 1 } }],
    ['moves within a list', { l: [1, 2, 3] }, [{ op: 'move', from: '/l/0', path: '/l/2' }], { l: [2, 3, 1] }],
    ['tests and goes on', { a: [1, { b: 2 }] }, [{ op: 'test', path: '/a/1', value: { b: 2 } }], { a: [1, { b: 2 }] }],
    ['adds a nested object', { a: {} }, [{ op: 'add', path: '/a/b', value: { c: 1 } }], { a: { b: { c: 1 } } }],
    ['ignores members that it does not know', {}, [{ op: 'add', path: '/a', value: 1, extra: 1 } as never], { a: 1 }],
    ['compares numbers and texts as different', { '~': 1 }, [{ op: 'test', path: '/~0', value: 1 }], { '~': 1 }],
    ['reads ~01 as ~1, never as a slash', { '~1': 5 }, [{ op: 'test', path: '/~01', value: 5 }], { '~1': 5 }],
    ['adds a list as one entry', { l: [1] }, [{ op: 'add', path: '/l/-', value: [2] }], { l: [1, [2]] }],
    ['copies a value', { a: { x: [1] } }, [{ op: 'copy', from: '/a', path: '/b' }], { a: { x: [1] }, b: { x: [1] } }],
    ['adds over a member that is there', { a: 1 }, [{ op: 'add', path: '/a', value: null }], { a: null }],
    ['replaces the whole document', { a: 1 }, [{ op: 'replace', path: '', value: [1] }], [1]],
    ['reaches an empty key', { '': 1 }, [{ op: 'replace', path: '/', value: 2 }], { '': 2 }],
    [
      'does the steps one after another',
      {},
      [
        { op: 'add', path: '/a', value: [] },
        { op: 'add', path: '/a/-', value: 1 },
      ],
      { a: [1] },
    ],
  ])('%s', (_, document, patch, expected) => {
    expect(applyPatch(document, patch)).toEqual(expected);
  });

  test.each<[string, unknown, JsonPatch]>([
    ['a parent that is not there', { q: 1 }, [{ op: 'add', path: '/a/b', value: 1 }]],
    ['an index beyond the end', { l: [1] }, [{ op: 'add', path: '/l/2', value: 1 }]],
    ['an index with a leading zero', { l: [1, 2] }, [{ op: 'replace', path: '/l/01', value: 1 }]],
    ['an index that is a word', { l: [1] }, [{ op: 'add', path: '/l/length', value: 1 }]],
    ['removal of what is not there', {}, [{ op: 'remove', path: '/a' }]],
    ['replacement of what is not there', {}, [{ op: 'replace', path: '/a', value: 1 }]],
    ['a test that fails', { a: '1' }, [{ op: 'test', path: '/a', value: 1 }]],
    ['a move into itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/b' }]],
    ['a pointer without a slash', { a: 1 }, [{ op: 'replace', path: 'a', value: 1 }]],
    ['a stray tilde', { a: 1 }, [{ op: 'add', path: '/~2', value: 1 }]],
    ['a way through the prototype', {}, [{ op: 'add', path: '/__proto__/polluted', value: 1 }]],
    ['a member of a text', { a: 'b' }, [{ op: 'add', path: '/a/0', value: 1 }]],
  ])('refuses %s, naming the step', (_, document, patch) => {
    expect(() => applyPatch(document, patch)).toThrow(/step 0|JSON pointer/);
  });

  test('leaves the document it was given alone, whether it can be done or not', () => {
    const document = { a: { b: [1] } };
    const before = structuredClone(document);
    applyPatch(document, [{ op: 'add', path: '/a/b/-', value: 2 }]);
    expect(() =>
      applyPatch(document, [
        { op: 'add', path: '/a/b/-', value: 2 },
        { op: 'remove', path: '/x' },
      ]),
    ).toThrow();
    expect(document).toEqual(before);
  });

  test('shares nothing with the patch', () => {
    const value = { x: 1 };
    const result = applyPatch({}, [{ op: 'add', path: '/a', value }]) as { a: { x: number } };
    result.a.x = 2;
    expect(value.x).toBe(1);
  });

  test('makes an own member of __proto__ and nothing worse', () => {
    const result = applyPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
  });

  test("pointers and keys are each other's inverse", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('~', '/', '~1', '~0', '', '-'))), (keys) => {
        expect(fromPointer(toPointer(keys))).toEqual(keys);
      }),
    );
  });

  test('what is added anywhere is there, and removed again leaves what was', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue()),
        fc.string({ maxLength: 4 }),
        fc.jsonValue(),
        (document, key, value) => {
          fc.pre(!Object.hasOwn(document, key) && key !== '__proto__');
          const path = toPointer([key]);
          const added = applyPatch(document, [{ op: 'add', path, value }]);
          expect(isEqualJson((added as Record<string, unknown>)[key], value)).toBe(true);
          expect(isEqualJson(applyPatch(added, [{ op: 'remove', path }]), document)).toBe(true);
        },
      ),
    );
  });

  test('the order of members does not count, the order of a list does', () => {
    expect(isEqualJson({ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 })).toBe(true);
    expect(isEqualJson([1, 2], [2, 1])).toBe(false);
    expect(isEqualJson({ a: undefined }, {})).toBe(false);
    expect(isEqualJson([], {})).toBe(false);
  });
});
