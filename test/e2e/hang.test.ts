// A process of the agent hangs or swells: it is noticed and ended, and callers are served.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kill, readMetric, SOON, withHook } from '../support/crash.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { ask } from '../support/peers/http-ask.ts';
import { predictOne, startModelProcess, type ModelProcess } from '../support/peers/model-process.ts';
import { printFigure, readScale, toQuantile } from '../support/scale.ts';
import { startTraffic } from '../support/traffic.ts';

const scale = readScale();

let model: ModelProcess;
const agents: AgentProcess[] = [];
beforeAll(async () => {
  model = await startModelProcess(1, 0.1);
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop('SIGKILL');
});
afterAll(() => model.close());

async function start(change: Parameters<typeof startAgent>[1], env?: Record<string, string>): Promise<AgentProcess> {
  const agent = await startAgent(model.origin, change, env);
  agents.push(agent);
  return agent;
}

test('an event loop that hangs is ended within 7 s, new connections or none, and who came meanwhile is served', async () => {
  const agent = await start(SOON, withHook('hang-data'));
  expect((await ask(agent.port, predictOne('before'))).status).toBe(200);
  const pid = agent.pidOf('data');
  const hungMs = performance.now();
  kill(pid, 'SIGUSR2');
  await agent.logged(/data hangs and is ended/, 9_000);
  const noticedMs = performance.now() - hungMs;
  await expect.poll(() => agent.logs.filter((line) => line.includes('data ready')).length, { timeout: 9_000 }).toBe(2);
  const backMs = performance.now() - hungMs;
  printFigure('hung data', { 'noticed after ms': noticedMs.toFixed(0), 'ready again after ms': backMs.toFixed(0) });
  expect(noticedMs).toBeLessThan(7_000);
  expect(agent.pidOf('data')).not.toBe(pid);
  expect((await ask(agent.port, predictOne('after'))).status).toBe(200);
  // Hanging for the second time, with callers at the door.
  kill(agent.pidOf('data'), 'SIGUSR2');
  await sleep(500);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(agent.port, predictOne(`w${i}`))));
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
  await expect
    .poll(() => readMetric(agent, /^morphling_process_restarts_total\{process="data",reason="hung"\} (\d+)/m), {
      timeout: 5_000,
    })
    .toBe(2);
});

test('a mind that takes memory without end is ended, again and again, and no request fails', async () => {
  const agent = await start({ ...SOON, mind: { rssLimitBytes: 200 << 20 } }, withHook('greedy-mind'));
  const traffic = startTraffic(agent.port, 100, (n) => predictOne(`g${n}`));
  const limitS = 8 + 30 * scale;
  await sleep(1000 * limitS);
  const ended = await traffic.stop();
  const restarts = await readMetric(
    agent,
    /^morphling_process_restarts_total\{process="mind",reason="memory"\} (\d+)/m,
  );
  const latencies = ended.map(({ latencyMs }) => latencyMs);
  printFigure('greedy mind', {
    seconds: limitS,
    requests: ended.length,
    failed: ended.filter(({ status }) => status !== 200).length,
    restarts,
    'p99 ms': toQuantile(latencies, 0.99).toFixed(1),
  });
  expect(ended.filter(({ status }) => status !== 200)).toEqual([]);
  expect(restarts).toBeGreaterThanOrEqual(1);
});
