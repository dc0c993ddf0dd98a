import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('a guarded group and its folder go with the process that started it, even by SIGKILL', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'morphling-guard-'));
  // `sleep` holds our pipe open: the pipe closes when it is gone.
  const starting = `
    import { spawn } from 'node:child_process';
    import { guardGroup } from ${JSON.stringify(join(import.meta.dirname, 'guard.ts'))};
    const child = spawn('sleep', ['600'], { detached: true, stdio: ['ignore', 'inherit', 'ignore'] });
    guardGroup(child.pid, ${JSON.stringify(folder)});
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', starting], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.resume().once('close', resolve));
  await expect.poll(() => existsSync(folder)).toBe(false);
});
