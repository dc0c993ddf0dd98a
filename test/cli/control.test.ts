import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Call } from '../../src/cli/command.ts';
import { openControl, readToken } from '../../src/cli/control.ts';
import { createOutput } from '../../src/cli/output.ts';

const folder = mkdtempSync(join(tmpdir(), 'morphling-control-'));
afterAll(() => rmSync(folder, { recursive: true }));
const sink = { write: () => true };

function call(texts: Record<string, string>, env: Record<string, string> = {}): Call {
  return {
    texts,
    env,
    flags: new Set(),
    lists: {},
    positionals: [],
    output: createOutput({ stdout: sink, stderr: sink, env: {} }),
    loadCommands: () => Promise.resolve([]),
    signal: new AbortController().signal,
  };
}

describe('the way to an agent', () => {
  test.each([
    [{}, {}, '127.0.0.1:9465'],
    [{ control: ':19465' }, {}, '127.0.0.1:19465'],
    [{}, { MORPHLING_CONTROL: '127.0.0.1:1' }, '127.0.0.1:1'],
    [{ control: 'http://[::1]:5' }, { MORPHLING_CONTROL: '127.0.0.1:1' }, '[::1]:5'],
    // what a server listens on is not where a client goes
    [{ control: '0.0.0.0:7' }, {}, '127.0.0.1:7'],
  ])('%j %j leads to %s', (texts, env, address) => {
    expect(openControl(call(texts, env)).address).toBe(address);
  });

  test('a bad address and a bad timeout are named', () => {
    expect(() => openControl(call({ control: 'x' }))).toThrow(/--control: expected an address/);
    expect(() => openControl(call({ timeout: 'soon' }))).toThrow(/--timeout: expected seconds/);
  });

  test('the token is found in the state folder, or where it was said to be', () => {
    writeFileSync(join(folder, 'token'), 'abc\n');
    expect(readToken(call({ 'state-dir': folder }))).toBe('abc');
    expect(readToken(call({}, { MORPHLING_STATE_DIR: folder }))).toBe('abc');
    expect(readToken(call({ 'token-file': join(folder, 'token') }))).toBe('abc');
  });

  test('a write without a token says where it was looked for, before anything is sent', () => {
    const empty = call({ 'state-dir': join(folder, 'none') }, { XDG_STATE_HOME: join(folder, 'xdg') });
    expect(() => openControl(empty, true)).toThrow(/no token for the agent: .*none.*xdg/s);
  });
});
