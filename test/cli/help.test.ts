import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { formatCommandHelp, formatProgramHelp } from '../../src/cli/help.ts';
import { createOutput } from '../../src/cli/output.ts';

const sink = { write: () => true };
const { style } = createOutput({ stdout: sink, stderr: sink, env: {} });

describe('help', () => {
  test.each(COMMANDS)('of $name is as agreed, examples first', async (entry) => {
    const command = await entry.load();
    const help = formatCommandHelp(command, style);
    // The agent's flags are the field table's business; its own tests hold their words.
    if (entry.name !== 'agent') await expect(`${help}\n`).toMatchFileSnapshot(`golden/${entry.name}.txt`);
    const examples = help.indexOf('Examples');
    expect(examples).toBeGreaterThan(0);
    expect(examples).toBeLessThan(help.indexOf('Usage'));
    expect(help).toContain(`morphling ${entry.name}`);
    expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(150);
  });

  test.each(COMMANDS)('the list says of $name what the command itself says', async (entry) => {
    const command = await entry.load();
    expect([command.name, command.summary]).toEqual([entry.name, entry.summary]);
  });

  test('every option of every command has a sentence, and no two share a letter', async () => {
    for (const entry of COMMANDS) {
      const { options } = await entry.load();
      const letters = Object.values(options).flatMap(({ short }) => short ?? []);
      expect(new Set(letters).size).toBe(letters.length);
      for (const [name, option] of Object.entries(options))
        expect(`${entry.name} --${name}: ${option.doc}`).toMatch(/[.\])]$/);
    }
  });

  test('the agent takes every flag of the field table', async () => {
    const { options } = await COMMANDS[0]!.load();
    expect(Object.keys(options)).toEqual(
      expect.arrayContaining(['config', 'listen', 'upstream', 'control', 'metrics', 'state-dir', 'fail-open', 'mode']),
    );
    expect(options['fail-open']?.type).toBe('boolean');
  });

  test('of the program lists every command once', () => {
    const help = formatProgramHelp([['All', COMMANDS]], style);
    for (const { name, summary } of COMMANDS) expect(help.split(`  ${name.padEnd(10)}  ${summary}`)).toHaveLength(2);
  });
});
