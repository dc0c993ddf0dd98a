// The promise of the supervisor's first line: nothing but the standard library can break it.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRssBytes } from '../../sidecar/supervise/child.ts';

const root = join(import.meta.dirname, '../..');

test('the supervisor and its parts import node modules and one another, and types alone from the rest', () => {
  const files = ['sidecar/supervisor.ts', ...globSync('sidecar/supervise/*.ts', { cwd: root })];
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const file of files) {
    const imports = readFileSync(join(root, file), 'utf8').matchAll(/^import (?!type )[^]*?from '([^']+)';/gm);
    for (const [, from = ''] of imports)
      expect([file, from]).toEqual([file, expect.stringMatching(/^node:|^\.\/(supervise\/)?[a-z]+\.ts$/)]);
  }
});

test('resident memory is read for a process that is there, and null for one that is not', () => {
  expect(readRssBytes(process.pid)).toBeGreaterThan(10 << 20);
  expect(readRssBytes(0x7ffffff0)).toBeNull();
});
