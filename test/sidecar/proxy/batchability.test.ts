// Whether a model may be batched: asked in the background, kept for a while, bounded in number.
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.ts';
import {
  createBatchability,
  isFirstDimensionFree,
  readMaxBatchSize,
  type Batchability,
} from '../../../sidecar/proxy/batchability.ts';

const free = { inputs: [{ shape: [-1, 4] }], outputs: [{ shape: [-1] }] };
const fixed = { inputs: [{ shape: [1, 4] }], outputs: [{ shape: [-1] }] };

interface Setup {
  readonly batchability: Batchability;
  readonly asked: string[];
  readonly clock: VirtualClock;
  readonly pages: Map<string, unknown>;
}

function setUp(pages: Record<string, unknown>, models = {}): Setup {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const known = new Map(Object.entries(pages));
  const batchability = createBatchability({
    models,
    clock,
    fetchJson: async (path) => {
      asked.push(path);
      const json = known.get(path);
      return json === undefined ? { status: 404, json: null } : { status: 200, json };
    },
  });
  return { batchability, asked, clock, pages: known };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([
  ['every first dimension is open', free, true],
  [
    'dimensions are strings, as protobuf writes them',
    { inputs: [{ shape: ['-1', '4'] }], outputs: [{ shape: ['-1'] }] },
    true,
  ],
  ['an input is fixed', fixed, false],
  ['an output is fixed', { inputs: [{ shape: [-1] }], outputs: [{ shape: [-1] }, { shape: [3] }] }, false],
  ['there are no outputs', { inputs: [{ shape: [-1] }], outputs: [] }, false],
  ['a shape is empty', { inputs: [{ shape: [] }], outputs: [{ shape: [-1] }] }, false],
  ['a shape is missing', { inputs: [{}], outputs: [{ shape: [-1] }] }, false],
  ['it is not a document', 'hello', false],
  ['it is null', null, false],
])('metadata: %s', (_what, json, isFree) => {
  expect(isFirstDimensionFree(json)).toBe(isFree);
});

test.each([
  [{ max_batch_size: 8 }, 8],
  [{ max_batch_size: 0 }, 0],
  [{ max_batch_size: '8' }, null],
  [{}, null],
  [null, null],
])('max_batch_size of %j', (json, max) => {
  expect(readMaxBatchSize(json)).toBe(max);
});

describe('a V2 model', () => {
  test('is not batched before its metadata is known, and asked for once', async () => {
    const { batchability, asked } = setUp({ '/v2/models/m': free });
    expect(batchability.look('v2', 'm', null)).toMatchObject({ isBatchable: false, isSettled: false });
    batchability.look('v2', 'm', null);
    await settle();
    expect(batchability.look('v2', 'm', null)).toMatchObject({ isBatchable: true, isSettled: true, maxItems: null });
    expect(asked).toEqual(['/v2/models/m/config', '/v2/models/m']);
    expect(batchability.maxItems('m')).toBe(Infinity);
  });

  test('keeps the least maximum that any version names', async () => {
    const { batchability } = setUp({
      '/v2/models/m/config': { max_batch_size: 16 },
      '/v2/models/m/versions/2/config': { max_batch_size: 4 },
    });
    batchability.look('v2', 'm', null);
    batchability.look('v2', 'm', '2');
    await settle();
    expect(batchability.look('v2', 'm', null)).toMatchObject({ isBatchable: true, maxItems: 16 });
    expect(batchability.maxItems('m')).toBe(4);
  });

  test('is asked again after a minute, and after a silence with growing patience', async () => {
    const { batchability, asked, clock, pages } = setUp({});
    batchability.look('v2', 'm', null);
    await settle();
    const tries = asked.length;
    clock.advance(500);
    batchability.look('v2', 'm', null);
    expect(asked).toHaveLength(tries);
    clock.advance(600);
    pages.set('/v2/models/m', fixed);
    batchability.look('v2', 'm', null);
    await settle();
    expect(batchability.look('v2', 'm', null)).toMatchObject({ isBatchable: false, isSettled: true });
    clock.advance(60_001);
    pages.set('/v2/models/m', free);
    batchability.look('v2', 'm', null);
    await settle();
    expect(batchability.look('v2', 'm', null).isBatchable).toBe(true);
  });

  test('keeps what was known while the server is silent', async () => {
    const { batchability, clock, pages } = setUp({ '/v2/models/m': free });
    batchability.look('v2', 'm', null);
    await settle();
    pages.clear();
    clock.advance(61_000);
    batchability.look('v2', 'm', null);
    await settle();
    expect(batchability.look('v2', 'm', null).isBatchable).toBe(true);
  });

  test('is forgotten when it is loaded anew', async () => {
    const { batchability, pages } = setUp({ '/v2/models/m': free });
    batchability.look('v2', 'm', null);
    await settle();
    pages.set('/v2/models/m', fixed);
    batchability.forget('m');
    expect(batchability.look('v2', 'm', null)).toMatchObject({ isBatchable: false, isSettled: false });
    await settle();
    expect(batchability.look('v2', 'm', null)).toMatchObject({ isBatchable: false, isSettled: true });
  });
});

test('configuration wins over metadata, and a false over everything', async () => {
  const { batchability } = setUp(
    { '/v2/models/yes': fixed },
    { yes: { batchable: true, maxBatchSize: 3 }, no: { batchable: false } },
  );
  expect(batchability.look('v2', 'yes', null).isBatchable).toBe(true);
  expect(batchability.maxItems('yes')).toBe(3);
  expect(batchability.look('v1', 'no', null).isBatchable).toBe(false);
});

test('V1 is batched until an answer showed otherwise; names from the prototype are just names', () => {
  const { batchability } = setUp({});
  for (const model of ['m', 'constructor', '__proto__']) {
    expect(batchability.look('v1', model, null).isBatchable).toBe(true);
    batchability.markUnbatchable(model, 'sums');
    expect(batchability.look('v1', model, null)).toMatchObject({ isBatchable: false, reason: 'sums' });
  }
  expect(batchability.look('openai', 'x', null).isBatchable).toBe(false);
});

test('ten thousand invented names do not make ten thousand questions', async () => {
  const { batchability, asked } = setUp({});
  for (let i = 0; i < 10_000; i++) batchability.look('v2', `m${i}`, null);
  await settle();
  expect(asked.length).toBeLessThanOrEqual(2 * 1000);
});

test('status reads what the last request was told, as it stands now, and asks nobody', async () => {
  const { batchability, asked } = setUp({ '/v2/models/m': free });
  expect(batchability.read('m')).toBeNull();
  batchability.look('v2', 'm', null);
  expect(batchability.read('m')).toMatchObject({ isBatchable: false, isSettled: false });
  await settle();
  expect(batchability.read('m')).toMatchObject({ isBatchable: true, reason: 'metadata' });
  batchability.markUnbatchable('m', 'answered 1 items to a joined call of 2');
  expect(batchability.read('m')).toMatchObject({
    isBatchable: false,
    reason: 'answered 1 items to a joined call of 2',
  });
  const before = asked.length;
  for (let i = 0; i < 100; i++) batchability.read(`other-${i}`);
  expect(asked.length).toBe(before);
});
