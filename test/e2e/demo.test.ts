// The demo as a newcomer runs it, and as they stop it.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const entry = fileURLToPath(new URL('../../src/cli/morphling.mjs', import.meta.url));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Starts it with a mark in its environment that every process under it inherits. */
function startDemo(args: readonly string[]): { child: ChildProcess; mark: string; text: { out: string; err: string } } {
  const mark = randomUUID();
  const env = { ...process.env, DEMO_TEST_MARK: mark };
  const child = spawn(process.execPath, [entry, 'demo', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const text = { out: '', err: '' };
  child.stdout.on('data', (part: Buffer) => (text.out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (text.err += part.toString()));
  return { child, mark, text };
}

/** Processes, zombies aside, that carry the mark. */
function marked(mark: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark);
      } catch {
        // Gone meanwhile, or a zombie.
        return false;
      }
    })
    .map((pid) => `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`);
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.on('exit', (code) => resolve(code)));

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 30 s: ${what}`);
}

const isDemoFolder = (name: string): boolean => name.startsWith('morphling-demo-');

describe('demo', () => {
  test('--quick ends with the table, and nothing of it is left', async () => {
    const folders = readdirSync(tmpdir()).filter(isDemoFolder);
    const { child, mark, text } = startDemo(['--quick']);
    expect([await ended(child), text.err]).toEqual([0, expect.stringContaining('Quick run')]);
    for (const title of ['no agent', 'fixed batch 1', 'KServe-like 32 / 5 s', 'Morphling agent', 'p99', 'lost'])
      expect(text.out).toContain(title);
    // oxlint-disable-next-line no-control-regex -- escape codes are what it looks for
    expect(/\u001B/.test(text.out + text.err)).toBe(false);
    expect(marked(mark)).toEqual([]);
    expect(readdirSync(tmpdir()).filter(isDemoFolder)).toEqual(folders);
  });

  test('-o json: the same arrivals for everyone, no answer mixed up, figures that add up', async () => {
    const { child, text } = startDemo(['--quick', '-o', 'json', '--seed', '3']);
    expect(await ended(child)).toBe(0);
    const result = JSON.parse(text.out) as {
      seed: number;
      arrivals: { requests: number; durationS: number };
      arms: {
        id: string;
        requests: number;
        lost: number;
        p99Ms: number;
        goodputPerS: number;
        meanBatchItems: number;
        gpuBusyRatio: number;
        fates: Record<string, number>;
      }[];
    };
    expect(result.arms.map(({ id }) => id)).toEqual(['none', 'batch-1', 'kserve', 'morphling']);
    for (const arm of result.arms) {
      expect(arm.requests).toBe(result.arrivals.requests);
      expect(Object.values(arm.fates).reduce((a, b) => a + b, 0)).toBe(arm.requests);
      expect(arm.requests - (arm.fates['ok'] ?? 0)).toBe(arm.lost);
      expect(arm.fates['wrong']).toBe(0);
      expect(arm.goodputPerS).toBeLessThanOrEqual(arm.requests / result.arrivals.durationS);
      expect(arm.gpuBusyRatio).toBeGreaterThan(0);
      expect(arm.gpuBusyRatio).toBeLessThanOrEqual(1);
    }
    const [none, single, kserve, agent] = result.arms;
    // What each arm is, seen from the server: batches of 1, of 1, of up to 32, and real ones.
    expect([none?.meanBatchItems, single?.meanBatchItems]).toEqual([1, 1]);
    expect(kserve?.meanBatchItems).toBeGreaterThan(4);
    expect(agent?.meanBatchItems).toBeGreaterThan(1);
    // Started cold under the whole load, it loses nobody.
    expect(agent?.lost).toBe(0);
  });

  test.each([0, 1500, 4000])(
    'Ctrl-C %i ms after its first word ends every process it started, with 130',
    async (afterMs) => {
      const { child, mark, text } = startDemo(['--quick']);
      await until(() => text.err.includes('contestants'), 'its first line');
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const end = ended(child);
      child.kill('SIGINT');
      expect(await end).toBe(130);
      expect(text.out).toBe('');
      expect(marked(mark)).toEqual([]);
    },
  );

  test('a server of the user that is not there is exit 3, before any process is started', async () => {
    const { child, mark, text } = startDemo(['--upstream', 'http://127.0.0.1:9', '--model', 'm']);
    expect(await ended(child)).toBe(3);
    expect(text.err).toContain('127.0.0.1:9');
    expect(marked(mark)).toEqual([]);
  });
});
