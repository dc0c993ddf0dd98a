import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HistoryLog } from '../../../sidecar/act/history.ts';
import type { HistoryEntry } from '../../../src/core/history.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'morphling-history-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const entryOf = (generation: number, model = 'm', reason = 'because'): HistoryEntry => ({
  at: '2026-01-01T00:00:00.000Z',
  model,
  generation,
  source: 'decider',
  class: 'step',
  result: 'applied',
  from: START_SETTINGS,
  to: START_SETTINGS,
  reason,
  predicted: null,
  measured: null,
});
const path = () => join(dir, 'history.jsonl');

describe('history', () => {
  test('is listed newest first, by model, and survives a restart', async () => {
    const log = new HistoryLog({ dir });
    await log.load();
    for (let n = 1; n <= 5; n++) log.append(entryOf(n, n % 2 === 0 ? 'even' : 'odd'));
    await log.flush();
    const again = new HistoryLog({ dir });
    await again.load();
    expect(again.list().map(({ generation }) => generation)).toEqual([5, 4, 3, 2, 1]);
    expect(again.list({ model: 'even', limit: 1 }).map(({ generation }) => generation)).toEqual([4]);
    expect(again.list({ limit: 0 })).toEqual([]);
  });

  test('a line torn by a crash is skipped and does not swallow the next one', async () => {
    writeFileSync(path(), `${JSON.stringify(entryOf(1))}\n{"at":"2026`);
    const log = new HistoryLog({ dir });
    await log.load();
    log.append(entryOf(2));
    await log.flush();
    const again = new HistoryLog({ dir });
    await again.load();
    expect(again.list().map(({ generation }) => generation)).toEqual([2, 1]);
  });

  test('what is not an entry is skipped', async () => {
    appendFileSync(path(), 'null\n[]\n{}\n"x"\n\n');
    const log = new HistoryLog({ dir });
    await log.load();
    expect(log.list()).toEqual([]);
  });

  test('takes at most 1 MB of disk, however much happens, and a thousand entries of memory', async () => {
    const log = new HistoryLog({ dir });
    await log.load();
    for (let n = 1; n <= 5000; n++) {
      log.append(entryOf(n, 'm', 'x'.repeat(n % 50 === 0 ? 100_000 : 300)));
      if (n % 20 === 0) await log.flush();
    }
    const bytes = statSync(path()).size + statSync(join(dir, 'history.1.jsonl')).size;
    expect(bytes).toBeLessThanOrEqual(1_000_000);
    expect(bytes).toBeGreaterThan(400_000);
    expect(log.list({ limit: 1e9 })).toHaveLength(1000);
    for (const line of readFileSync(path(), 'utf8').trimEnd().split('\n')) JSON.parse(line);
  });

  test('a disk that fails costs nothing but the file, and lines are written once it works', async () => {
    const problems: (string | null)[] = [];
    const blocked = join(dir, 'blocked');
    writeFileSync(blocked, '');
    const log = new HistoryLog({ dir: join(blocked, 'sub'), onHealth: (problem) => problems.push(problem) });
    await log.load();
    log.append(entryOf(1));
    await log.flush();
    log.append(entryOf(2));
    await log.flush();
    rmSync(blocked);
    log.append(entryOf(3));
    await log.flush();
    expect(problems).toEqual([expect.any(String), null]);
    const again = new HistoryLog({ dir: join(blocked, 'sub') });
    await again.load();
    expect(again.list().map(({ generation }) => generation)).toEqual([3, 2, 1]);
  });
});
