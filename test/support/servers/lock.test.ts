import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acquireLock } from './lock.ts';

describe('the lock of an install', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'morphling-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('makes the second wait, once told, until the first gives it back', async () => {
    const file = join(folder, 'a.lock');
    const first = await acquireLock(file, () => expect.unreachable());
    let waits = 0;
    let held = false;
    const second = acquireLock(file, () => (waits += 1)).then((lock) => {
      held = true;
      return lock;
    });
    expect([waits, held]).toEqual([1, false]);
    first[Symbol.dispose]();
    using _second = await second;
    expect([waits, held]).toEqual([1, true]);
  });

  test('does not outlive a holder that is killed', async () => {
    const file = join(folder, 'b.lock');
    const holding = `
      import { acquireLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
      await acquireLock(${JSON.stringify(file)}, () => {});
      process.kill(process.pid, 'SIGKILL');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', holding], { stdio: 'inherit' });
    const [, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('exit', (...end) => resolve(end));
    });
    expect(signal).toBe('SIGKILL');
    using _lock = await acquireLock(file, () => expect.unreachable());
  });
});
