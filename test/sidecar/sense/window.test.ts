import { describe, expect, test } from 'vitest';
import { ModelWindow } from '../../../sidecar/sense/window.ts';
import { batch, completion } from './fixtures.ts';

const UNKNOWN_SLA = Number.POSITIVE_INFINITY;

describe('ModelWindow', () => {
  test('the three endings are kept apart: success teaches latency, dropped is loss, ignored is neither', () => {
    const window = new ModelWindow(0);
    window.completed(completion({ endedMs: 10 }), 50);
    window.completed(completion({ endedMs: 100 }), 50);
    window.completed(completion({ outcome: 'shed', ending: 'dropped', code: 503, upstreamMs: null }), 50);
    window.completed(completion({ outcome: 'cancelled', ending: 'ignored', code: 0, endedMs: 9999 }), 50);
    const stats = window.read(1000, true);
    expect(stats.completions).toBe(4);
    expect(stats.latency).toMatchObject({ count: 2, maxMs: 100 });
    expect(stats.errorRatio).toBeCloseTo(1 / 3);
    expect(stats.shedRatio).toBe(0.25);
    expect(stats.cancelRatio).toBe(0.25);
    expect(stats.sloAttainment).toBeCloseTo(1 / 3);
    expect(stats.outcomes).toMatchObject({ ok: 2, shed: 1, cancelled: 1, timeout: 0 });
  });

  test('an empty window says null where nothing was counted and 0 where a count is 0', () => {
    const stats = new ModelWindow(0).read(10_000, true);
    expect(stats).toMatchObject({ latency: null, queue: null, upstream: null, sloAttainment: null });
    expect(stats).toMatchObject({ ratePerS: 0, errorRatio: 0, batches: 0, fillRatio: 0, busyRatio: 0 });
  });

  test('no attainment is claimed while no SLA is known', () => {
    const window = new ModelWindow(0);
    window.completed(completion(), UNKNOWN_SLA);
    expect(window.read(1000, false).sloAttainment).toBeNull();
  });

  test('batches: fill against the size in force, departures by reason, busy time', () => {
    const window = new ModelWindow(0);
    window.batchStarted(0);
    window.batchCompleted(batch({ startedMs: 0, durationMs: 100, items: 4, requests: 2, reason: 'timeout' }), 8);
    window.batchStarted(500);
    window.batchCompleted(batch({ startedMs: 500, durationMs: 100, items: 12, requests: 1, reason: 'single' }), 8);
    const stats = window.read(1000, false);
    expect(stats).toMatchObject({ batches: 2, meanBatchItems: 8, meanBatchRequests: 1.5, fillRatio: 0.75 });
    expect(stats.departures).toEqual({ full: 0, timeout: 1, natural: 0, single: 1, drain: 0 });
    expect(stats.busyRatio).toBeCloseTo(0.2);
    expect(stats.meanInflight).toBeCloseTo(0.2);
  });

  test('restart empties everything but the calls in flight', () => {
    const window = new ModelWindow(0);
    window.arrived(3);
    window.completed(completion(), 50);
    window.batchStarted(900);
    window.restart(1000);
    const stats = window.read(2000, true);
    expect(stats).toMatchObject({ durationMs: 1000, arrivals: 0, completions: 0, latency: null });
    expect(stats).toMatchObject({ busyRatio: 1, meanInflight: 1 });
  });

  test('what was read stays as it was when the window goes on', () => {
    const window = new ModelWindow(0);
    window.completed(completion(), 50);
    const before = window.read(1000, true);
    window.completed(completion(), 50);
    expect(before.outcomes.ok).toBe(1);
  });
});
