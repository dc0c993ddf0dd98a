import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientMeter, quantile } from '../../../sidecar/lab/client-meter.ts';

describe('the client meter', () => {
  test('counts fates, and only right answers within the SLA are goodput', () => {
    const meter = new ClientMeter(100);
    for (const [fate, latencyMs] of [
      ['ok', 50],
      ['ok', 100],
      ['ok', 101],
      ['shed', 1],
      ['wrong', 1],
    ] as const) {
      meter.sent(0, 2);
      meter.ended(fate, latencyMs, 0);
    }
    meter.sent(0, 9);
    const summary = meter.summary(2);
    expect(summary).toMatchObject({
      requests: 6,
      fates: { ok: 3, shed: 1, error: 0, wrong: 1, timeout: 0 },
      goodputPerS: 1,
      attainmentRatio: 2 / 6,
      p50Ms: 100,
      p99Ms: 101,
      maxMs: 101,
      scheduleErrorP99Ms: 9,
    });
    // what has no fate yet is lost too: nobody got an answer
    expect(summary.lost).toBe(3);
  });

  test('a run without an answer has no latency, not 0', () => {
    const summary = new ClientMeter(100).summary(1);
    expect([summary.p50Ms, summary.p99Ms, summary.goodputPerS, summary.attainmentRatio]).toEqual([null, null, 0, 1]);
  });

  test('a glance forgets what is older than two seconds', () => {
    const meter = new ClientMeter(100);
    meter.sent(0, 0);
    meter.ended('ok', 500, 100);
    meter.sent(3000, 0);
    meter.ended('ok', 7, 3010);
    expect(meter.glance(3100)).toMatchObject({ sentPerS: 0.5, p99Ms: 7, inFlight: 0, sent: 2, lost: 0 });
  });

  test('a quantile is a value of the sample, with at least that share at or below it', () => {
    const samples = fc.array(fc.double({ noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const sorted = Float64Array.from(values).sort();
        const value = quantile(sorted, q);
        expect(sorted.includes(value ?? Number.NaN)).toBe(true);
        const below = sorted.filter((other) => other <= (value ?? Number.NaN)).length;
        expect(below / sorted.length).toBeGreaterThanOrEqual(q - 1e-12);
      }),
    );
  });
});
