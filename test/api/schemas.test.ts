import type { Static } from 'typebox';
import { describe, expect, test } from 'vitest';
import { ExplanationSchema } from '../../src/api/explain.ts';
import { HistoryEntrySchema } from '../../src/api/history.ts';
import { toOpenApi, toRoutes } from '../../src/api/openapi.ts';
import { SnapshotSchema } from '../../src/api/snapshot.ts';
import { checkValue } from '../../src/config/check.ts';
import type { HistoryEntry } from '../../src/core/history.ts';
import type { Explanation, Proposal } from '../../src/core/proposal.ts';
import { START_SETTINGS } from '../../src/core/settings.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { windowOf } from '../sidecar/act/window.ts';

// What a schema lets through is what the noun of core says: the compiler fails here when the two drift apart.
const toSnapshot = (value: Static<typeof SnapshotSchema>): Snapshot => value;
const toEntry = (value: Static<typeof HistoryEntrySchema>): HistoryEntry => value;
const toExplanation = (value: Static<typeof ExplanationSchema>): Explanation => value;

const version = { settings: START_SETTINGS, generation: 1, source: 'start' } as const;
const snapshot: Snapshot = {
  atMs: 1.5,
  isBurst: false,
  models: [
    {
      model: 'resnet',
      version,
      sla: { p99Ms: null, isAssumed: true },
      window: windowOf({ p99Ms: 50 }),
      features: {
        requestBytes: null,
        itemsPerRequest: { mean: 1, p99: 1 },
        dispersion: 1,
        period: null,
        popularity: 1,
      },
      queueDepth: 0,
      oldestWaitMs: 0,
      inflight: 0,
      samples: [{ startedMs: 0, durationMs: 1, items: 1, inflight: 1 }],
      arrivals: [[0, 1]],
      isChangePoint: false,
    },
  ],
  telemetry: {
    devices: [
      {
        index: '0',
        uuid: 'GPU-1',
        name: null,
        utilizationRatio: null,
        memoryUsedBytes: 0,
        memoryTotalBytes: null,
        powerWatts: null,
        temperatureCelsius: null,
        parentUuid: null,
      },
    ],
    deviceSource: null,
    host: { cpuRatio: 1, cpuSource: 'pod', throttledRatio: null, memoryUsedBytes: null, memoryLimitBytes: null },
    engine: {
      engine: 'triton',
      queueDepth: 1,
      running: null,
      queueMs: null,
      computeMs: null,
      meanBatchItems: null,
      kvCacheRatio: null,
    },
    health: [{ source: 'nvidia-smi', ageMs: null, errors: 0, lastError: null }],
  },
};
const proposal: Proposal = {
  model: 'm',
  settings: START_SETTINGS,
  class: 'step',
  decider: 'linear',
  reason: 'r',
  predicted: null,
  evidence: { rate: 1, why: 'x', none: null },
};

describe('the schemas of the API', () => {
  test('accept what the nouns of core hold', () => {
    expect(checkValue(SnapshotSchema, snapshot)).toEqual([]);
    expect(checkValue(SnapshotSchema, { ...snapshot, telemetry: null })).toEqual([]);
    const entry: HistoryEntry = {
      at: 'x',
      model: 'm',
      generation: 1,
      source: 'user',
      class: 'leap',
      result: 'applied',
      from: START_SETTINGS,
      to: START_SETTINGS,
      reason: 'r',
      predicted: null,
      measured: { p99Ms: 1, gpuSecondsPer1k: 1 },
    };
    expect(checkValue(HistoryEntrySchema, entry)).toEqual([]);
    const explanations: Explanation[] = [
      {
        at: 'x',
        model: 'm',
        decision: { kind: 'hold', model: 'm', decider: 'd', reason: 'r' },
        guarded: null,
        result: 'held',
      },
      {
        at: 'x',
        model: 'm',
        decision: { kind: 'propose', proposal },
        guarded: { kind: 'veto', proposal, rule: 'cooldown', reason: 'r' },
        result: 'vetoed',
      },
    ];
    for (const explanation of explanations) expect(checkValue(ExplanationSchema, explanation)).toEqual([]);
  });

  test('refuse what they do not, at the field where it stands', () => {
    const [model] = snapshot.models;
    const bad = { ...snapshot, models: [{ ...model, window: { ...model!.window, errorRatio: 2 } }] };
    expect(checkValue(SnapshotSchema, bad)).toEqual([
      { field: 'models[0].window.errorRatio', expected: 'a number from 0 to 1', got: '2' },
    ]);
    expect([toSnapshot, toEntry, toExplanation]).toHaveLength(3);
  });
});

describe('the OpenAPI document', () => {
  test('is plain JSON with one operation a route, unique ids, and security on every write', () => {
    const document = toOpenApi('1.2.3') as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; security?: unknown }>>;
    };
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
    const operations = Object.values(document.paths).flatMap((path) => Object.entries(path));
    expect(operations).toHaveLength(toRoutes().length);
    expect(new Set(operations.map(([, { operationId }]) => operationId)).size).toBe(operations.length);
    for (const [method, { security }] of operations) expect(security === undefined).toBe(method === 'get');
  });

  test('every reference leads somewhere', () => {
    const document = toOpenApi('1');
    for (const [, path] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = (path ?? '')
        .split('/')
        .reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], document);
      expect(target).toBeTypeOf('object');
    }
  });
});
