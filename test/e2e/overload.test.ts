// More than the model can serve, in real time: goodput holds, the excess is told at once, and all is well soon after.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { ask } from '../support/peers/http-ask.ts';
import { predictOne, startModelProcess, type ModelProcess } from '../support/peers/model-process.ts';
import { printFigure, readScale, toQuantile } from '../support/scale.ts';
import { startTraffic, type Ended } from '../support/traffic.ts';

const scale = readScale();
/** 16 items take 156 ms, one call at a time: 103 a second at the most. Slow, as generator and model share two cores. */
const BASE_MS = 60;
const ITEM_MS = 6;
const BATCH_MAX = 16;
const SLA_MS = 300;
const LATE_MAX_MS = 10;
/** A burst may use up twice the SLA; only then is it taken for lasting overload and worked off. */
const SETTLED_MS = 8 * SLA_MS;
const POLICY = {
  ...DEFAULT_POLICY,
  sla: { ...DEFAULT_POLICY.sla, p99Ms: SLA_MS },
  bounds: { ...DEFAULT_POLICY.bounds, batchSize: [1, BATCH_MAX] as const, concurrency: [1, 1] as const },
};

let model: ModelProcess;
let agent: AgentProcess;
async function start(): Promise<void> {
  model = await startModelProcess(BASE_MS, ITEM_MS);
  agent = await startAgent(model.origin, { policy: POLICY, decider: 'fixed' });
}
afterEach(async () => {
  expect(await agent.stop()).toBe(0);
  await model.close();
});

const goodPerS = (ended: readonly Ended[], fromMs: number, toMs: number): number =>
  ended.filter(
    ({ status, latencyMs, dueMs }) =>
      status === 200 && latencyMs <= 2 * SLA_MS && dueMs + latencyMs >= fromMs && dueMs + latencyMs < toMs,
  ).length /
  ((toMs - fromMs) / 1000);

/** What the model can give through this agent: three full batches are always there. */
async function measurePeakPerS(durationMs: number): Promise<number> {
  let [served, isOn] = [0, true];
  const caller = async (id: number): Promise<void> => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- turned off below
    for (let n = 0; isOn; n++) if ((await ask(agent.port, predictOne(`c${id}-${n}`))).status === 200) served += 1;
  };
  const callers = Array.from({ length: 3 * BATCH_MAX }, (_, id) => caller(id));
  await sleep(1000);
  served = 0;
  await sleep(durationMs);
  const peak = served / (durationMs / 1000);
  isOn = false;
  await Promise.all(callers);
  return peak;
}

test.for([2, 5])('%i times the peak', async (factor, { skip }) => {
  await start();
  const peakPerS = await measurePeakPerS(3000);
  const calm = startTraffic(agent.port, 0.5 * peakPerS, (n) => predictOne(`a${n}`));
  await sleep(2500);
  const before = await calm.stop();
  const fromMs = performance.now();
  const burst = startTraffic(agent.port, factor * peakPerS, (n) => predictOne(`b${n}`));
  await sleep(6000 + 14_000 * scale);
  const toMs = performance.now();
  const during = await burst.stop();
  const after = startTraffic(agent.port, 0.5 * peakPerS, (n) => predictOne(`z${n}`));
  await sleep(7000);
  const later = await after.stop();

  const isCounted = ({ dueMs }: Ended): boolean => dueMs >= fromMs + SETTLED_MS && dueMs < toMs;
  const refused = during.filter((one) => one.status === 503 && isCounted(one));
  const accepted = during.filter((one) => one.status === 200 && isCounted(one));
  const goodputPerS = goodPerS(during, fromMs + SETTLED_MS, toMs);
  const p99 = (list: readonly Ended[]): number =>
    toQuantile(
      list.map(({ latencyMs }) => latencyMs),
      0.99,
    );
  const refusedP99Ms = toQuantile(
    refused.map(({ answeredMs }) => answeredMs),
    0.99,
  );
  const latenessMs = toQuantile(
    [...before, ...during, ...later].map(({ latencyMs, answeredMs }) => latencyMs - answeredMs),
    0.99,
  );
  const normal = later.filter(({ dueMs }) => dueMs >= toMs + 5000);
  printFigure(`overload ${factor}x`, {
    'peak/s': peakPerS.toFixed(0),
    'offered/s': (during.length / ((toMs - fromMs) / 1000)).toFixed(0),
    'goodput/s': goodputPerS.toFixed(0),
    'of the peak': (goodputPerS / peakPerS).toFixed(2),
    'accepted p99 ms': p99(accepted).toFixed(0),
    'refused within p99 ms': refusedP99Ms.toFixed(1),
    'normal p99 ms before': p99(before).toFixed(0),
    'after 5 s': p99(normal).toFixed(0),
    'generator late p99 ms': latenessMs.toFixed(0),
  });
  expect(during.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
  expect(refused.every(({ hasRetryAfter, isMorphling }) => hasRetryAfter && isMorphling)).toBe(true);
  expect(refused.length).toBeGreaterThan(100);
  // Whoever cannot send in time, on the agent's own two cores, says nothing about times.
  skip(latenessMs > LATE_MAX_MS, `the generator was ${latenessMs.toFixed(0)} ms late: the machine is too busy`);
  expect(goodputPerS).toBeGreaterThanOrEqual(0.9 * peakPerS);
  // Admission takes what it expects within 2 x SLA; its expectation has an error, in both directions.
  expect(p99(accepted)).toBeLessThanOrEqual(2.1 * SLA_MS);
  expect(refusedP99Ms).toBeLessThan(20);
  expect(normal.filter(({ status }) => status !== 200)).toEqual([]);
  expect(p99(normal)).toBeLessThanOrEqual(1.3 * p99(before));
});

test('a storm of callers who try again three times: the agent adds nothing to it, and it ends with the fault', async () => {
  await start();
  const faultMs = Math.max(4_000, 10_000 * scale);
  let [clientSends, open] = [0, 0];
  const outcomes: { atMs: number; isOk: boolean }[] = [];
  const user = async (n: number): Promise<void> => {
    open += 1;
    for (let attempt = 0; attempt < 4; attempt++) {
      clientSends += 1;
      const { status } = await ask(agent.port, predictOne(`r${n}-${attempt}`)).catch(() => ({ status: 0 }));
      if (status === 200) {
        outcomes.push({ atMs: performance.now(), isOk: true });
        break;
      }
      if (attempt === 3) outcomes.push({ atMs: performance.now(), isOk: false });
      // A short pause, as clients have: none would not be kinder.
      await sleep(50);
    }
    open -= 1;
  };
  // 70 % of the peak in good times, nearly three times that when all try again.
  let n = 0;
  const timer = setInterval(() => void user(n++), 1000 / 72);
  await sleep(2000);
  const startMs = performance.now();
  const executedBefore = model.executed().length;
  const sendsBefore = clientSends;
  await model.setErrors(0.5);
  await sleep(faultMs);
  await model.setErrors(0);
  const endMs = performance.now();
  const amplification = (model.executed().length - executedBefore) / (clientSends - sendsBefore);
  await sleep(scale === 1 ? 12_000 : 5_000);
  clearInterval(timer);
  // oxlint-disable-next-line no-unmodified-loop-condition -- `user` counts it down
  while (open > 0) await sleep(50);
  const lastFailedMs = Math.max(0, ...outcomes.filter(({ isOk }) => !isOk).map(({ atMs }) => atMs - endMs));
  const executed = model.executed();
  printFigure('retry storm', {
    'executed per request sent': amplification.toFixed(2),
    'requests per s in the storm': ((clientSends - sendsBefore) / ((endMs - startMs) / 1000)).toFixed(0),
    'last failure after the fault ms': lastFailedMs.toFixed(0),
    'executed twice': executed.length - new Set(executed).size,
  });
  expect(amplification).toBeLessThanOrEqual(1.2);
  expect(lastFailedMs).toBeLessThan(10_000);
  expect(new Set(executed).size).toBe(executed.length);
});
