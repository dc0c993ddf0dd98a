import { describe, expect, test } from 'vitest';
import { BatchOneLatency } from '../../../sidecar/sense/batch-one.ts';
import { createRandom } from '../../../src/core/random.ts';
import { batch } from './fixtures.ts';

describe('BatchOneLatency', () => {
  test('the p99 of lone requests without company; cold first calls are left out', () => {
    const latency = new BatchOneLatency();
    for (let i = 0; i < 5; i++) latency.record(batch({ durationMs: 3000 }));
    for (let i = 0; i < 19; i++) latency.record(batch({ durationMs: 20 }));
    expect(latency.p99Ms).toBeNull();
    latency.record(batch({ durationMs: 20 }));
    expect(latency.p99Ms).toBeCloseTo(20, 0);
  });

  test('calls with company, failures and streams of larger batches are not lone requests', () => {
    const latency = new BatchOneLatency();
    for (let i = 0; i < 50; i++) {
      latency.record(batch({ inflightAll: 2, inflight: 1, durationMs: 99 }));
      latency.record(batch({ ending: 'dropped', durationMs: 1 }));
    }
    expect(latency.p99Ms).toBeNull();
  });

  test('once settled it stands still, so that a model that slows down cannot move its own target', () => {
    const latency = new BatchOneLatency();
    for (let i = 0; i < 205; i++) latency.record(batch({ durationMs: 20 }));
    for (let i = 0; i < 1000; i++) latency.record(batch({ durationMs: 200 }));
    expect(latency.p99Ms).toBeCloseTo(20, 0);
  });

  test('a service so busy that nothing goes alone gets a figure from its batches, within 15 %', () => {
    const random = createRandom(1);
    const latency = new BatchOneLatency();
    for (let i = 0; i < 300; i++) {
      const items = 4 + random.int(28);
      latency.record(batch({ requests: items, items, durationMs: (10 + 2 * items) * (1 + 0.05 * random.normal()) }));
    }
    // 12 ms alone; its p99 with 5 % noise is 13.4 ms
    expect(Math.abs(latency.p99Ms! - 13.4) / 13.4).toBeLessThanOrEqual(0.15);
  });

  test('the fitted figure stays between "batching is free" and "batching gains nothing"', () => {
    const latency = new BatchOneLatency();
    for (let i = 0; i < 200; i++) latency.record(batch({ requests: 32, items: 32, durationMs: 64 }));
    expect(latency.p99Ms).toBeGreaterThanOrEqual(2);
    expect(latency.p99Ms).toBeLessThanOrEqual(65);
  });
});
