import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/core/random.ts';
import type { WindowStats } from '../../../src/core/snapshot.ts';
import { judgeWindow, measure, type WatchRule } from '../../../sidecar/act/watch.ts';
import { windowOf } from './window.ts';

const rule: WatchRule = {
  weights: { performance: 1, cost: 0 },
  slaP99Ms: 100,
  errorRate: 0.01,
  threshold: 0.1,
  minBatches: 20,
  alpha: 0.01,
  isForced: false,
};

describe('the verdict on a change in force', () => {
  test.each<[string, WindowStats | null, WindowStats, Partial<WatchRule>, string]>([
    ['the same as before is good', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 50 }), {}, 'good'],
    ['better is good', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 25 }), {}, 'good'],
    [
      'doubled p99 within the SLA is worse in performance mode',
      windowOf({ p99Ms: 40 }),
      windowOf({ p99Ms: 80 }),
      {},
      'bad objective',
    ],
    ['8 % worse is within the threshold', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 54 }), {}, 'good'],
    ['over the SLA is bad', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 200 }), {}, 'bad sla'],
    [
      'over the SLA before and after alike is not the change’s fault',
      windowOf({ p99Ms: 200 }),
      windowOf({ p99Ms: 200 }),
      {},
      'good',
    ],
    ['lost requests are bad', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 50, errorRatio: 0.05 }), {}, 'bad errors'],
    [
      'as many lost requests as before are not the change’s fault',
      windowOf({ p99Ms: 50, errorRatio: 0.05 }),
      windowOf({ p99Ms: 50, errorRatio: 0.05 }),
      {},
      'good',
    ],
    ['no traffic never passes', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 50, batches: 0 }), {}, 'wait'],
    ['too few batches never pass', windowOf({ p99Ms: 50 }), windowOf({ p99Ms: 50, batches: 19 }), {}, 'wait'],
    [
      'a slower but cheaper setting is good in cost mode',
      windowOf({ p99Ms: 40, busyRatio: 0.8 }),
      windowOf({ p99Ms: 80, busyRatio: 0.4 }),
      { weights: { performance: 0, cost: 1 } },
      'good',
    ],
    [
      'a dearer setting is bad in cost mode',
      windowOf({ p99Ms: 40, busyRatio: 0.4 }),
      windowOf({ p99Ms: 40, busyRatio: 0.8 }),
      { weights: { performance: 0, cost: 1 } },
      'bad objective',
    ],
    [
      'another load makes the objective incomparable',
      windowOf({ p99Ms: 40 }),
      windowOf({ p99Ms: 80, ratePerS: 300 }),
      {},
      'good',
    ],
    [
      'another load is no excuse for breaking the SLA',
      windowOf({ p99Ms: 40 }),
      windowOf({ p99Ms: 200, ratePerS: 300 }),
      {},
      'bad sla',
    ],
    [
      'what a person insisted on may be slower',
      windowOf({ p99Ms: 40 }),
      windowOf({ p99Ms: 80 }),
      { isForced: true },
      'good',
    ],
    [
      'what a person insisted on may not break the SLA',
      windowOf({ p99Ms: 40 }),
      windowOf({ p99Ms: 200 }),
      { isForced: true },
      'bad sla',
    ],
    ['without a window before, the SLA decides: well', null, windowOf({ p99Ms: 50 }), {}, 'good'],
    ['without a window before, the SLA decides: badly', null, windowOf({ p99Ms: 200 }), {}, 'bad sla'],
  ])('%s', (_, before, after, change, expected) => {
    const verdict = judgeWindow(before, after, { ...rule, ...change });
    expect(verdict.kind === 'bad' ? `bad ${verdict.cause}` : verdict.kind).toBe(expected);
    expect(verdict.reason).not.toBe('');
  });

  test('an unchanged setting is rarely withdrawn by noise, a doubled latency nearly always', () => {
    const random = createRandom(7);
    const draw = (scale: number): WindowStats => {
      const latencies = Array.from({ length: 400 }, () => scale * (20 + random.exponential(8))).sort((a, b) => a - b);
      const at = (q: number): number => latencies[Math.min(399, Math.floor(q * 400))] ?? 0;
      return windowOf({ p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), batches: 400 });
    };
    let falseAlarms = 0;
    let caught = 0;
    for (let run = 0; run < 300; run++) {
      if (judgeWindow(draw(1), draw(1), { ...rule, slaP99Ms: null }).kind === 'bad') falseAlarms++;
      if (judgeWindow(draw(1), draw(2), { ...rule, slaP99Ms: null }).kind === 'bad') caught++;
    }
    expect(falseAlarms).toBeLessThanOrEqual(9);
    expect(caught).toBeGreaterThanOrEqual(297);
  });

  test('device seconds per 1,000 good answers: half a 10 s window busy for 1,000 answers is 5', () => {
    expect(measure(windowOf({ p99Ms: 50, busyRatio: 0.5 }))).toEqual({ p99Ms: 50, gpuSecondsPer1k: 5 });
    expect(measure({ ...windowOf({ p99Ms: 50 }), completions: 0 }).gpuSecondsPer1k).toBe(Infinity);
  });
});
