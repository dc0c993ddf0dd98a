import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCommandLine } from '../../src/cli/args.ts';
import type { Command } from '../../src/cli/command.ts';

const command: Command = {
  name: 'x',
  summary: 'X.',
  examples: [],
  positionals: 'on|off',
  positionalCount: [0, 1],
  options: {
    output: { type: 'string', short: 'o', choices: ['table', 'json', 'yaml'], default: 'table', doc: 'Format.' },
    model: { type: 'string', multiple: true, doc: 'Name.' },
    quick: { type: 'boolean', doc: 'Fast.' },
  },
  run: () => Promise.resolve(0),
};

const parse = (...argv: string[]) => parseCommandLine(command, argv);

describe('command lines', () => {
  test('text, list, flag and positional are told apart, defaults filled in', () => {
    expect(parse('--model', 'a', '--model=b', '--quick', 'on')).toEqual({
      kind: 'call',
      args: {
        texts: { output: 'table' },
        lists: { model: ['a', 'b'] },
        flags: new Set(['quick']),
        positionals: ['on'],
      },
    });
  });

  test.each([
    [['-o', 'json'], 'json'],
    [['-ojson'], 'json'],
    [['--output=yaml'], 'yaml'],
  ])('%j gives the format', (argv, format) => {
    expect(parse(...argv)).toMatchObject({ kind: 'call', args: { texts: { output: format } } });
  });

  test.each([
    [['--outptu', 'json'], 'unknown option --outptu, did you mean --output?'],
    [['--zzzzzzzz'], 'unknown option --zzzzzzzz'],
    [['-z'], 'unknown option -z'],
    [['-o', 'jsn'], '--output: expected one of table, json, yaml, got "jsn", did you mean json?'],
    [['--output'], '--output needs a value'],
    // a forgotten value must not swallow the next flag
    [['--output', '--quick'], '--output needs a value'],
    [['--quick=yes'], '--quick takes no value'],
    [['on', 'off'], 'unexpected argument "off"'],
    // names every object inherits are no options
    [['--constructor'], 'unknown option --constructor'],
    [['--__proto__', 'x'], 'unknown option --__proto__'],
  ])('%j is refused in words', (argv, message) => {
    const result = parse(...argv);
    expect(result.kind === 'usage' ? result.message.replace('-o:', '--output:') : result).toBe(message);
  });

  test('what comes after -- is never an option', () => {
    expect(parse('--', '--quick')).toMatchObject({ kind: 'call', args: { positionals: ['--quick'] } });
  });

  test('help wins over everything that is well formed', () => {
    expect(parse('on', '--help')).toEqual({ kind: 'help' });
    expect(parse('-h')).toEqual({ kind: 'help' });
  });

  test('a missing argument is named', () => {
    const needy: Command = { ...command, positionalCount: [1, 1] };
    expect(parseCommandLine(needy, [])).toEqual({ kind: 'usage', message: 'expected on|off' });
  });

  test('no words make it throw', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.string().map((text) => `--${text}`),
          ),
        ),
        (argv) => {
          expect(['call', 'help', 'usage']).toContain(parseCommandLine(command, argv).kind);
        },
      ),
    );
  });
});
