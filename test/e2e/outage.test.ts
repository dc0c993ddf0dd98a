// The model server is killed under load and comes back: who fails, how soon they are told, how soon all is well again.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { predictOne, startModelProcess, type ModelProcess } from '../support/peers/model-process.ts';
import { printFigure, readScale, scaled, toQuantile } from '../support/scale.ts';
import { startTraffic } from '../support/traffic.ts';

const scale = readScale();
/** Bars: reliability promises of the data path. */
const BACK_MS = 1000;
const FAST_MS = 50;
const RATE_PER_S = 150;

let model: ModelProcess;
let agent: AgentProcess;
beforeAll(async () => {
  model = await startModelProcess(5, 0.2);
  agent = await startAgent(model.origin);
});
afterAll(async () => {
  expect(await agent.stop()).toBe(0);
  await model.close();
});

test('killed under load: told within 50 ms, served within 1 s of its return, nothing executed twice', async () => {
  const outages: { killedMs: number; downMs: number; backMs: number }[] = [];
  const traffic = startTraffic(agent.port, RATE_PER_S, (n) => predictOne(`n${n}`));
  await sleep(1500);
  // Of any length: the server may be back before anybody has noticed, or after many probes.
  for (let i = 0; i < scaled(20, scale); i++) {
    const killedMs = performance.now();
    await model.kill();
    const downMs = performance.now();
    await sleep(i % 3 === 0 ? 100 : 1300 + 170 * (i % 5));
    await model.restart();
    outages.push({ killedMs, downMs, backMs: performance.now() });
    await sleep(1800);
  }
  const ended = await traffic.stop();
  const failed = ended.filter(({ status }) => status !== 200);

  expect(
    [...new Set(failed.map(({ status }) => status))].filter((status) => ![502, 503, 504].includes(status)),
  ).toEqual([]);
  expect(failed.every(({ isMorphling }) => isMorphling)).toBe(true);
  // Who failed was in flight when it died, or came before it was seen to be back.
  const lateMs = failed.map(({ dueMs, latencyMs }) => {
    const outage = outages.findLast(({ killedMs }) => killedMs <= dueMs + latencyMs);
    return outage === undefined ? Infinity : dueMs - outage.backMs;
  });
  const whileDown = outages.flatMap(({ downMs, backMs }) =>
    ended.filter(
      ({ dueMs, latencyMs, status }) => dueMs > downMs + 100 && dueMs + latencyMs < backMs && status !== 200,
    ),
  );
  const fast = whileDown.map(({ latencyMs }) => latencyMs);
  const executed = model.executed();
  printFigure('outage', {
    'outages (of 20)': outages.length,
    requests: ended.length,
    failed: failed.length,
    'last failure after the return ms': Math.max(...lateMs).toFixed(0),
    'fast-fail p99 ms': toQuantile(fast, 0.99).toFixed(1),
    'failed while down': fast.length,
    'executed twice': executed.length - new Set(executed).size,
  });
  expect(Math.max(...lateMs)).toBeLessThan(BACK_MS);
  expect(fast.length).toBeGreaterThan(20);
  expect(toQuantile(fast, 0.99)).toBeLessThan(FAST_MS);
  expect(new Set(executed).size).toBe(executed.length);
  // Those answered were executed, and most were answered.
  expect(ended.length - failed.length).toBeLessThanOrEqual(executed.length);
  expect(failed.length).toBeLessThan(0.7 * ended.length);
});
