// Second tries are a bounded share of the traffic, whatever fails.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RetryBudget } from '../../../sidecar/proxy/retry-budget.ts';

test('never more than a fifth of the calls, ten a second and what may be saved up', () => {
  const step = fc.record({ calls: fc.nat(50), tries: fc.nat(50), ms: fc.nat(3000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = new RetryBudget(0);
      let [calls, tries, nowMs] = [0, 0, 0];
      for (const each of steps) {
        nowMs += each.ms;
        calls += each.calls;
        for (let i = 0; i < each.calls; i++) budget.called();
        for (let i = 0; i < each.tries; i++) if (budget.take(nowMs)) tries += 1;
        expect(tries).toBeLessThanOrEqual(0.2 * calls + (10 * nowMs) / 1000 + 100);
      }
    }),
  );
});

test('a storm of failures is tried again by a fifth, and quiet traffic always', () => {
  const storm = new RetryBudget(0);
  let tries = 0;
  for (let i = 0; i < 10_000; i++) {
    storm.called();
    if (storm.take(i)) tries += 1;
  }
  // 10 s at 1,000 a second: 2,000 and ten a second, the first second's ten included.
  expect(tries).toBeGreaterThan(2080);
  expect(tries).toBeLessThanOrEqual(2110);
  const quiet = new RetryBudget(0);
  for (let i = 0; i < 100; i++) {
    quiet.called();
    expect(quiet.take(200 * i)).toBe(true);
  }
});
