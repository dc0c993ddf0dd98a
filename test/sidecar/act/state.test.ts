import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeStateDisk } from '../../../sidecar/act/state-disk.ts';
import { decodeState, encodeState, StateStore } from '../../../sidecar/act/state.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'morphling-state-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

async function write(...values: unknown[]): Promise<StateStore> {
  const store = new StateStore({ dir, name: 'settings' });
  await store.load();
  for (const value of values) {
    store.save(value);
    await store.flush();
  }
  return store;
}
const read = () => new StateStore({ dir, name: 'settings' }).load();

describe('the bytes of a state', () => {
  test('give back what was written', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), (value, sequence) => {
        const json = JSON.stringify(value);
        expect(decodeState(encodeState(json, sequence))).toEqual({ sequence, value: JSON.parse(json) });
      }),
    );
  });

  test('every single flipped bit is detected', () => {
    const bytes = encodeState(JSON.stringify({ models: [{ model: 'resnet', batchSize: 8, delay: 2.5 }] }), 41);
    let undetected = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (typeof decodeState(flipped) !== 'string') undetected++;
    }
    expect(undetected).toBe(0);
  });

  test('every truncation, and everything appended, is detected', () => {
    const bytes = encodeState('{"a":1}', 1);
    for (let length = 0; length < bytes.length; length++)
      expect(decodeState(bytes.subarray(0, length))).toBeTypeOf('string');
    expect(decodeState(Buffer.concat([bytes, Buffer.from(' ')]))).toBeTypeOf('string');
  });

  test('any other bytes are a sentence, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => typeof decodeState(Buffer.from(bytes)) === 'string'),
    );
  });

  test('a state of a later schema is not misread', () => {
    const later = encodeState('{}', 1).toString().replace('state 1', 'state 2');
    expect(decodeState(Buffer.from(later))).toContain('another schema');
  });
});

describe('a state store', () => {
  test('an empty folder holds nothing and is no problem', async () => {
    expect(await read()).toEqual({ kind: 'none', problems: [] });
  });

  test('the newest of two generations is loaded', async () => {
    await write({ n: 1 }, { n: 2 }, { n: 3 });
    expect(await read()).toEqual({ kind: 'loaded', value: { n: 3 }, sequence: 3, problems: [] });
    expect(readdirSync(dir).sort()).toEqual(['settings.0', 'settings.1']);
    expect(statSync(join(dir, 'settings.0')).mode & 0o777).toBe(0o600);
  });

  test('when the newest is damaged the older is loaded and it says so; when both are, nothing is', async () => {
    await write({ n: 1 }, { n: 2 });
    const newest = join(dir, 'settings.0');
    writeFileSync(newest, readFileSync(newest).subarray(0, -1));
    const loaded = await read();
    expect(loaded).toMatchObject({ kind: 'loaded', value: { n: 1 } });
    expect(loaded.problems).toEqual([expect.stringContaining('settings.0: ')]);
    writeFileSync(join(dir, 'settings.1'), 'nonsense');
    expect(await read()).toMatchObject({ kind: 'none', problems: [{}, {}] });
  });

  test('after a damaged slot, saving goes on in it and leaves the good one alone', async () => {
    await write({ n: 1 }, { n: 2 });
    writeFileSync(join(dir, 'settings.0'), '');
    await write({ n: 3 });
    expect(await read()).toMatchObject({ value: { n: 3 }, sequence: 2, problems: [] });
  });

  test('a file larger than the limit is not read, a state larger than the limit not written', async () => {
    writeFileSync(join(dir, 'settings.0'), Buffer.alloc(5_000_000));
    expect((await read()).problems[0]).toContain('5000000 bytes');
    const problems: (string | null)[] = [];
    const store = new StateStore({ dir, name: 'big', maxBytes: 200, onHealth: (problem) => problems.push(problem) });
    store.save('x'.repeat(300));
    await store.flush();
    store.save('small');
    await store.flush();
    expect(problems).toEqual([expect.stringContaining('200 allowed'), null]);
  });

  test('a full or read-only disk never throws, tells once, keeps the last state, and recovers', async () => {
    let isFull = false;
    const problems: (string | null)[] = [];
    const disk = {
      ...nodeStateDisk,
      replace: (...args: Parameters<typeof nodeStateDisk.replace>) =>
        isFull ? Promise.reject(new Error('ENOSPC: no space left on device')) : nodeStateDisk.replace(...args),
    };
    const store = new StateStore({ dir, name: 'settings', disk, onHealth: (problem) => problems.push(problem) });
    await store.load();
    store.save({ n: 1 });
    await store.flush();
    isFull = true;
    for (let n = 2; n < 5; n++) {
      store.save({ n });
      await store.flush();
    }
    expect(store.problem).toContain('ENOSPC');
    expect(await read()).toMatchObject({ value: { n: 1 } });
    isFull = false;
    store.save({ n: 5 });
    await store.flush();
    expect(problems).toEqual([expect.stringContaining('ENOSPC'), null]);
    expect(await read()).toMatchObject({ value: { n: 5 } });
  });

  test('a folder that cannot be made degrades to memory', async () => {
    writeFileSync(join(dir, 'file'), '');
    const store = new StateStore({ dir: join(dir, 'file', 'sub'), name: 'settings' });
    await store.load();
    store.save({});
    await store.flush();
    expect(store.problem).not.toBeNull();
  });

  test('of many saves at once only the newest need be written', async () => {
    let writes = 0;
    const disk = {
      ...nodeStateDisk,
      replace: (...args: Parameters<typeof nodeStateDisk.replace>) => (writes++, nodeStateDisk.replace(...args)),
    };
    const store = new StateStore({ dir, name: 'settings', disk });
    await store.load();
    for (let n = 0; n < 100; n++) store.save({ n });
    await store.flush();
    expect(writes).toBeLessThanOrEqual(2);
    expect(await read()).toMatchObject({ value: { n: 99 } });
  });

  test('what a crash left behind is removed at the next start', async () => {
    writeFileSync(join(dir, 'settings.0.123.tmp'), 'torn');
    writeFileSync(join(dir, 'unrelated.tmp'), '');
    await read();
    expect(readdirSync(dir)).toEqual(['unrelated.tmp']);
  });
});

describe('kill -9 while state is written', () => {
  test('30 kills at random instants: one of the last two states is always loaded, none is torn', async () => {
    const child = join(import.meta.dirname, 'state-writer.ts');
    let kills = 0;
    for (let round = 0; round < 15; round++) {
      await Promise.all(
        [0, 1].map(async (lane) => {
          const own = join(dir, `lane-${lane}`);
          const writer = spawn(process.execPath, [child, own], { stdio: ['ignore', 'pipe', 'inherit'] });
          let acknowledged = 0;
          await new Promise<void>((resolve) => {
            let isArmed = false;
            writer.stdout.on('data', (chunk: Buffer) => {
              acknowledged = Number(chunk.toString().trim().split('\n').at(-1));
              // Anywhere within the next few writes, each of which takes a few ms.
              if (!isArmed) setTimeout(() => writer.kill('SIGKILL'), Math.random() * 25);
              isArmed = true;
            });
            writer.on('exit', (_, signal) => {
              if (signal === 'SIGKILL') kills++;
              resolve();
            });
          });
          const loaded = await new StateStore({ dir: own, name: 'settings' }).load();
          expect(loaded.problems).toEqual([]);
          expect(loaded.kind).toBe('loaded');
          const { n, filler } = (loaded as { value: { n: number; filler: string } }).value;
          expect(n === acknowledged || n === acknowledged + 1).toBe(true);
          expect(filler).toBe(String(n % 10).repeat(20_000));
        }),
      );
    }
    expect(kills).toBe(30);
  });
});
