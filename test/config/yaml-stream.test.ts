import * as fc from 'fast-check';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { parseStream, patchYaml, type StreamDocument, toYamlDocument } from '../../src/config/yaml-stream.ts';
import type { JsonPatch } from '../../src/core/json-patch.ts';

function documents(text: string): readonly StreamDocument[] {
  const stream = parseStream(text, 'test');
  if (stream.kind === 'bad') throw new Error(JSON.stringify(stream.issues));
  return stream.documents;
}

describe('a stream', () => {
  test.each([
    ['one document', 'a: 1\n', [{ a: 1 }]],
    ['several', 'a: 1\n---\nb: 2\n', [{ a: 1 }, { b: 2 }]],
    ['a marker first', '---\na: 1\n---\nb: 2', [{ a: 1 }, { b: 2 }]],
    ['a comment before the first marker', '# hello\n---\na: 1\n', [null, { a: 1 }]],
    ['empty documents', '---\n---\na: 1\n---\n', [null, { a: 1 }, null]],
    ['a directive', '%YAML 1.1\n---\na: 1\n', [{ a: 1 }]],
    ['a marker with a comment', '--- # one\na: 1\n--- # two\nb: 2\n', [{ a: 1 }, { b: 2 }]],
    ['a text that looks like a marker inside', 'a: |\n  ---\n  x\nb: ---x\n', [{ a: '---\nx\n', b: '---x' }]],
    ['Windows line ends', 'a: 1\r\n---\r\nb: 2\r\n', [{ a: 1 }, { b: 2 }]],
    ['JSON', ' {"a": [1]}\n', [{ a: [1] }]],
    ['nothing', '', []],
  ])('of %s is taken apart, and its sources are its text', (_, text, values) => {
    const found = documents(text);
    expect(found.map(({ value }) => value)).toEqual(values);
    expect(found.map(({ source }) => source).join('')).toBe(text);
  });

  test.each([
    ['octal modes', 'mode: 0644', { mode: 420 }],
    ['yes and no', 'a: yes\nb: "yes"\nc: off', { a: true, b: 'yes', c: false }],
    ['no numbers of base 60', 'a: 22:22', { a: '22:22' }],
    ['no dates', 'a: 2024-01-01', { a: '2024-01-01' }],
    ['merge keys', 'base: &b {a: 1}\nmore: {<<: *b, c: 2}', { base: { a: 1 }, more: { a: 1, c: 2 } }],
  ])('is read as kubectl reads it: %s', (_, text, value) => {
    expect(documents(text)[0]?.value).toEqual(value);
  });

  test.each([
    ['a broken line', 'a: [1\n'],
    ['one key twice', 'a: 1\na: 2\n'],
    ['two JSON documents in a row', '{"a": 1}\n{"b": 2}\n'],
    ['an alias to nothing', 'a: *x\n'],
    [
      'aliases without end',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${'bcdefgh'
        .split('')
        .map((key, index) => `${key}: &${key} [${Array(9).fill(`*${'abcdefg'[index]}`).join(',')}]`)
        .join('\n')}\n`,
    ],
  ])('with %s is refused, naming the document', (_, text) => {
    const stream = parseStream(`ok: 1\n---\n${text}`, 'f.yaml');
    expect(stream.kind).toBe('bad');
    if (stream.kind === 'bad') expect(stream.issues[0]?.field).toBe('f.yaml, document 2');
  });
});

describe('a patch on YAML', () => {
  const PATCH: JsonPatch = [
    { op: 'replace', path: '/spec/port', value: 8000 },
    { op: 'add', path: '/spec/list/-', value: { name: 'on', mode: '0644' } },
    { op: 'add', path: '/spec/new', value: { a: null } },
    { op: 'remove', path: '/gone' },
  ];
  const EXPECTED = {
    spec: { port: 8000, mode: 420, list: [{ name: 'x' }, { name: 'on', mode: '0644' }], new: { a: null } },
  };

  test('keeps comments, order, quotes and octal modes', () => {
    const source = '# top\nspec:\n  port: "http" # the port\n  mode: 0644\n  list:\n  - {name: x}   # first\ngone: 1\n';
    const text = patchYaml(documents(source)[0]!, PATCH);
    expect(documents(text)[0]?.value).toEqual(EXPECTED);
    expect(text).toContain('# top');
    expect(text).toContain('# the port');
    expect(text).toContain('mode: 0644');
    expect(text).toContain('  list:\n  - {name: x}');
    // Read by a YAML 1.1 reader these would be true and 420.
    expect(text).toMatch(/name: ["']on["']/);
    expect(text).toMatch(/mode: ["']0644["']/);
  });

  test('through an alias writes the document anew, and right', () => {
    const source = '---\nbase: &b {port: http, mode: 0644, list: [{name: x}]}\nspec: *b\ngone: 1\n';
    const text = patchYaml(documents(source)[0]!, PATCH);
    expect(text.startsWith('---\n')).toBe(true);
    expect(documents(text)[0]?.value).toEqual({
      base: { port: 'http', mode: 420, list: [{ name: 'x' }] },
      ...EXPECTED,
    });
  });

  test('whatever texts an object holds, it comes back the same from YAML 1.1', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'yes',
        'on',
        'null',
        '~',
        '0644',
        '1e3',
        '22:22',
        '2024-01-01',
        '---',
        '- a',
        '# x',
        '0x1F',
        '.inf',
        '=',
      ),
    );
    fc.assert(
      fc.property(
        fc.dictionary(word, fc.oneof(word, fc.array(word), fc.boolean(), fc.integer(), fc.constant(null))),
        (value) => {
          fc.pre(!Object.hasOwn(value, '__proto__'));
          expect(documents(`---\n${toYamlDocument(value)}`)[0]?.value).toEqual(value);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('JSON inside a YAML stream is patched like YAML', () => {
    const [first] = documents(
      '{"spec": {"port": "http", "mode": 420, "list": [{"name": "x"}]}, "gone": 1}\n---\na: 1\n',
    );
    expect(parse(patchYaml(first!, PATCH))).toEqual(EXPECTED);
  });
});
