import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Share } from '../../../src/core/share.ts';
import { ShareLimit } from '../../../sidecar/proxy/share-limit.ts';

function toShare(fields: Partial<Share> = {}): Share {
  return {
    model: 'm',
    gpuUuid: 'GPU-0',
    gpuMsPerS: 250,
    concurrencyMax: 4,
    memoryBytes: 0,
    expiresInMs: 1e9,
    ...fields,
  };
}

/** Runs calls of the given durations one after another as early as the share allows; busy ms and the time it took. */
function run(limit: ShareLimit, durationsMs: readonly number[]): { busyMs: number; untilMs: number } {
  let nowMs = 0;
  let busyMs = 0;
  for (const durationMs of durationsMs) {
    for (let openMs = limit.openAtMs(nowMs); openMs > nowMs; openMs = limit.openAtMs(nowMs)) nowMs = openMs;
    limit.setBusy(true, nowMs);
    nowMs += durationMs;
    busyMs += durationMs;
    limit.setBusy(false, nowMs);
  }
  return { busyMs, untilMs: nowMs };
}

describe('without a share', () => {
  test('nothing is limited', () => {
    const limit = new ShareLimit();
    expect([limit.openAtMs(5), limit.concurrencyMaxAt(5), limit.shareAt(5)]).toEqual([5, Infinity, null]);
  });
});

describe('device time', () => {
  test('busy time approaches the granted share', () => {
    const limit = new ShareLimit();
    limit.grant(toShare({ gpuMsPerS: 250 }), 0);
    const { busyMs, untilMs } = run(
      limit,
      Array.from({ length: 2000 }, () => 20),
    );
    expect(busyMs / untilMs).toBeCloseTo(0.25, 2);
  });

  test('over any run busy time is at most the share, what was saved, and one call', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 1000 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 }),
        (gpuMsPerS, durationsMs) => {
          const limit = new ShareLimit();
          limit.grant(toShare({ gpuMsPerS }), 0);
          const { busyMs, untilMs } = run(limit, durationsMs);
          expect(busyMs).toBeLessThanOrEqual((gpuMsPerS / 1000) * (untilMs + 1000) + Math.max(...durationsMs) + 1e-6);
        },
      ),
    );
  });

  test('a share of the whole device never waits', () => {
    const limit = new ShareLimit();
    limit.grant(toShare({ gpuMsPerS: 1000 }), 0);
    const { busyMs, untilMs } = run(
      limit,
      Array.from({ length: 500 }, () => 30),
    );
    expect(busyMs).toBe(untilMs);
  });

  test('calls that overlap are charged once: the device is busy once', () => {
    const limit = new ShareLimit();
    limit.grant(toShare({ gpuMsPerS: 500 }), 0);
    limit.setBusy(true, 0);
    limit.setBusy(false, 900);
    // 500 saved + 450 gained - 900 used = 50 left
    expect(limit.openAtMs(900)).toBe(900);
  });

  test('renewing a lease earns nothing', () => {
    const limit = new ShareLimit();
    limit.grant(toShare(), 0);
    limit.setBusy(true, 0);
    limit.setBusy(false, 2000);
    const openMs = limit.openAtMs(2000);
    limit.grant(toShare(), 2000);
    expect(limit.openAtMs(2000)).toBe(openMs);
    expect(openMs).toBeGreaterThan(2000);
  });
});

describe('a lease', () => {
  test('ends by itself: an agent lives without its coordinator', () => {
    const limit = new ShareLimit();
    limit.grant(toShare({ gpuMsPerS: 0, concurrencyMax: 2, expiresInMs: 300 }), 0);
    expect([limit.concurrencyMaxAt(299), limit.openAtMs(299)]).toEqual([2, 300]);
    expect([limit.concurrencyMaxAt(300), limit.openAtMs(300)]).toEqual([Infinity, 300]);
  });

  test('never shuts a model that was granted anything', () => {
    const limit = new ShareLimit();
    limit.grant(toShare({ concurrencyMax: 0 }), 0);
    expect(limit.concurrencyMaxAt(0)).toBe(1);
  });
});
