import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { completionCommand } from '../../src/cli/completion.ts';
import { createOutput } from '../../src/cli/output.ts';

async function print(shell: string): Promise<{ text: string; code: number }> {
  let text = '';
  const stdout = { write: (part: string) => (text += part) };
  const call: Call = {
    texts: {},
    env: {},
    flags: new Set(),
    lists: {},
    positionals: [shell],
    output: createOutput({ stdout, stderr: { write: () => true }, env: {} }),
    loadCommands: () => Promise.all(COMMANDS.map((entry) => entry.load())),
    signal: new AbortController().signal,
  };
  const code = await completionCommand.run(call);
  return { text, code };
}

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'])('%s knows every command and every option', async (shell) => {
    const { text, code } = await print(shell);
    expect(code).toBe(0);
    for (const entry of COMMANDS) {
      expect(text).toContain(entry.name);
      const { options } = await entry.load();
      for (const name of Object.keys(options)) expect(text).toContain(shell === 'fish' ? `-l ${name}` : `--${name}`);
    }
  });

  test('another shell is refused', async () => {
    expect(await print('tcsh')).toEqual({ text: '', code: 2 });
  });
});
