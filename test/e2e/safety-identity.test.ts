// T2: 200 callers with secrets of their own, a tenth of whom leave, before a model server of which a tenth of the calls
// fail or break off. MORPHLING_TEST_SCALE 1 is 200,000 requests.
import { expect, onTestFinished, test } from 'vitest';
import { countEnded, createIdentityModel, runIdentity } from '../safety/identity.ts';
import { startAgent } from '../support/peers/agent-process.ts';
import { printFigure, readScale, scaled } from '../support/scale.ts';
import { startRecorder } from '../support/wire-recorder.ts';

const SEED = 20_261_124;

test('nobody gets another one’s answer, and nobody is left without one', { timeout: 600_000 }, async () => {
  const scale = readScale();
  const model = createIdentityModel(SEED, 0.05, 0.05);
  const recorder = await startRecorder(model.script);
  const agent = await startAgent(recorder.origin);
  onTestFinished(async () => {
    await agent.stop('SIGKILL');
    await recorder.close();
  });
  const startMs = performance.now();
  const requests = scaled(200_000, scale);
  const tally = await runIdentity({ port: agent.port, requests, callers: 200, seed: SEED, cancelRatio: 0.1 });
  const seconds = (performance.now() - startMs) / 1000;
  const ended = await countEnded(agent.metricsPort);
  printFigure('T2 identity', {
    scale,
    requests: tally.sent,
    own: tally.own,
    failed: tally.failed,
    cancelled: tally.cancelled,
    'cut short': tally.cut,
    mismatched: tally.mismatched.length,
    lost: tally.lost.length,
    'counted by the agent': ended,
    calls: model.calls,
    'items a call': (model.items / model.calls).toFixed(1),
    'failed calls': model.failures,
    'cut calls': model.resets,
    'run twice': model.repeated.length,
    'under other credentials': model.foreign.length,
    'per second': Math.round(tally.sent / seconds),
  });
  expect(tally.mismatched.slice(0, 5)).toEqual([]);
  expect(tally.lost.slice(0, 5)).toEqual([]);
  expect(model.foreign.slice(0, 5)).toEqual([]);
  expect(model.repeated.slice(0, 5)).toEqual([]);
  expect(recorder.smuggled).toEqual([]);
  expect(tally.own + tally.failed + tally.cancelled + tally.cut).toBe(requests);
  // Each is counted once; one that left before it was read is not counted at all.
  expect(ended).toBeGreaterThanOrEqual(tally.own + tally.failed + tally.cut);
  expect(ended).toBeLessThanOrEqual(tally.sent);
  // It did join, fail and cut, or it shows nothing.
  expect(model.items / model.calls).toBeGreaterThan(2);
  expect(model.failures).toBeGreaterThan(10);
  expect(model.resets).toBeGreaterThan(10);
  expect(tally.cut).toBeLessThanOrEqual(model.resets);
  expect(tally.cancelled).toBeGreaterThan(0.05 * requests);
  expect(await agent.stop()).toBe(0);
});
