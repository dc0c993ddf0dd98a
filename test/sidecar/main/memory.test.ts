// The container's share of its memory, from the files of cgroup v2.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../../src/core/log.ts';
import { readContainerRatio, watchMemory } from '../../../sidecar/main/memory.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'morphling-cgroup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `memory.${name}`), text);
}

test.each([
  ['the working set of the limit', { max: '1000\n', current: '900\n', stat: 'anon 500\ninactive_file 100\n' }, 0.8],
  ['no cache to take off', { max: '1000\n', current: '900\n', stat: 'anon 500\n' }, 0.9],
  ['no limit', { max: 'max\n', current: '900\n', stat: '' }, null],
  ['a limit of nothing', { max: '0\n', current: '900\n', stat: '' }, null],
  ['no usage', { max: '1000\n', stat: '' }, null],
  ['garbage', { max: '1000\n', current: 'x\n', stat: '\u0000' }, null],
  ['no such files', {}, null],
])('%s', (_what, files, ratio) => {
  write(files);
  expect(readContainerRatio(folder)).toBe(ratio);
});

test('every change of the step is told and logged once', async () => {
  const told: string[] = [];
  const lines: string[] = [];
  const log = createLogger({ level: 'info', write: (line) => lines.push(line), nowMs: () => 0 });
  write({ max: '1000\n', current: '960\n', stat: 'inactive_file 0\n' });
  const watch = watchMemory(folder, log, (pressure) => told.push(pressure));
  await expect.poll(() => told).toEqual(['shedding']);
  expect(watch.ratio).toBe(0.96);
  write({ current: '100\n' });
  await expect.poll(() => told).toEqual(['shedding', 'none']);
  expect(lines).toHaveLength(2);
  watch.stop();
});
