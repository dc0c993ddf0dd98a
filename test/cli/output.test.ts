import { describe, expect, test } from 'vitest';
import { createOutput, formatTable, toSafeText, type OutputOptions } from '../../src/cli/output.ts';

function open(over: Partial<OutputOptions> & { isTTY?: boolean } = {}) {
  const written = { out: '', err: '' };
  const isTTY = over.isTTY === true;
  const output = createOutput({
    stdout: { isTTY, write: (text) => (written.out += text) },
    stderr: { isTTY, write: (text) => (written.err += text) },
    env: {},
    ...over,
  });
  return { output, written };
}

describe('output', () => {
  test('data goes to stdout, talk to stderr', () => {
    const { output, written } = open();
    output.say('hello');
    output.fail('bad');
    output.data({ a: 1 }, () => 'a 1\n\n');
    expect(written).toEqual({ out: 'a 1\n', err: 'hello\nerror: bad\n' });
  });

  test('json and yaml print the whole value and never the table', () => {
    const json = open({ format: 'json' });
    json.output.data({ a: [1] }, () => 'table');
    expect(JSON.parse(json.written.out)).toEqual({ a: [1] });
    const yaml = open({ format: 'yaml', toYaml: () => 'a: 1\n' });
    yaml.output.data({ a: 1 }, () => 'table');
    expect(yaml.written.out).toBe('a: 1\n');
  });

  test.each([
    ['a terminal', { isTTY: true }, true],
    ['a pipe', { isTTY: false }, false],
    ['NO_COLOR', { isTTY: true, env: { NO_COLOR: '1' } }, false],
    // the convention: an empty NO_COLOR does not count
    ['an empty NO_COLOR', { isTTY: true, env: { NO_COLOR: '' } }, true],
    ['TERM=dumb', { isTTY: true, env: { TERM: 'dumb' } }, false],
    ['--no-color', { isTTY: true, noColor: true }, false],
  ])('%s decides about colour', (_name, over, isColoured) => {
    const { output } = open(over);
    expect(output.style.red('x').includes('\u001B')).toBe(isColoured);
    expect(output.style.mark('ok').includes('√')).toBe(true);
  });

  test('only a terminal that can redraw is live', () => {
    expect(open({ isTTY: true }).output.isLive).toBe(true);
    expect(open({ isTTY: true, env: { NO_COLOR: '1' } }).output.isLive).toBe(true);
    expect(open({ isTTY: true, env: { TERM: 'dumb' } }).output.isLive).toBe(false);
    expect(open().output.isLive).toBe(false);
  });

  test('columns line up whatever is coloured, numbers to the right', () => {
    const { output } = open({ isTTY: true });
    const table = formatTable(
      ['NAME', 'N'],
      [
        ['a', output.style.red('5 ms')],
        ['long', '1250 ms'],
      ],
      output.style,
    );
    // oxlint-disable-next-line no-control-regex -- colour codes are what it is for
    expect(table.replaceAll(/\u001B\[\d+m/g, '').split('\n')).toEqual([
      'NAME        N',
      'a        5 ms',
      'long  1250 ms',
    ]);
  });

  test('names from elsewhere cannot steer the terminal', () => {
    expect(toSafeText('a\u001B[2Jb\nc\u202Ed')).toBe('a\uFFFD[2Jb\uFFFDc\uFFFDd');
  });
});
