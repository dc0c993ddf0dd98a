// Processes of the agent are killed at any moment: callers are served on, and every start is a clean one.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { kill, SOON, toGapMs } from '../support/crash.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { ask } from '../support/peers/http-ask.ts';
import { predictOne, startModelProcess, type ModelProcess } from '../support/peers/model-process.ts';
import { printFigure, readScale, scaled } from '../support/scale.ts';
import { startTraffic } from '../support/traffic.ts';

const scale = readScale();
const random = createRandom(20);

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

test('killed at any moment, data, mind or both: nobody is refused, and within a second all are served', async () => {
  const rounds = scaled(30, scale);
  const gapsMs: number[] = [];
  let latestMs = 0;
  let [requests, failed, kills] = [0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    const agent = await start(SOON);
    // A new connection each: who is refused would see it.
    const traffic = startTraffic(
      agent.port,
      60,
      (n) => predictOne(`k${round}-${n}`, ['Connection', 'close']),
      round + 1,
    );
    await agent.logged(/mind started/);
    for (const victims of [['data'], ['mind'], ['data', 'mind']] as const) {
      await sleep(300 + random.next() * 1000);
      for (const victim of victims) kill(agent.pidOf(victim));
      kills += victims.length;
    }
    await sleep(1500);
    const ended = await traffic.stop();
    expect(ended.filter(({ status }) => ![200, 0, 502, 503].includes(status))).toEqual([]);
    gapsMs.push(toGapMs(ended));
    latestMs = Math.max(latestMs, ...ended.map(({ latencyMs, answeredMs }) => latencyMs - answeredMs));
    requests += ended.length;
    failed += ended.filter(({ status }) => status !== 200).length;
    await agents.pop()!.stop('SIGKILL');
  }
  printFigure('killed children', {
    'rounds (of 30)': rounds,
    kills,
    requests,
    failed,
    'longest time without an answer ms': Math.max(...gapsMs).toFixed(0),
    'rounds under 1 s': gapsMs.filter((gapMs) => gapMs < 1000).length,
    'generator late at most ms': latestMs.toFixed(0),
  });
  // Only what was in flight in a data process that died: at 60 a second and a few ms each, seldom one a kill.
  expect(failed).toBeLessThanOrEqual(2 * rounds * 3);
  // How long the machine itself stood still is seen in the generator, which has nothing else to do.
  expect(Math.max(...gapsMs)).toBeLessThan(1000 + latestMs);
});

test('killed as a whole at any moment, also while it writes its state: every start is clean, no file is torn', async () => {
  const starts = scaled(200, scale);
  const stateDir = mkdtempSync(join(tmpdir(), 'morphling-crash-'));
  const sent = new Set<number>([64]);
  let size = 1;
  let restored = 0;
  try {
    for (let i = 0; i < starts; i++) {
      const agent = await start({ ...SOON, stateDir });
      const token = readFileSync(join(stateDir, 'token'), 'utf8').trim();
      const headers = ['Host', `127.0.0.1:${agent.controlPort}`, 'Authorization', `Bearer ${token}`];
      const control = { headers: [...headers, 'Content-Type', 'application/json'], setsHost: true };
      expect((await ask(agent.port, predictOne(`s${i}`))).status).toBe(200);
      const body = (await ask(agent.controlPort, { ...control, method: 'GET', path: '/v1/settings' })).body.toString();
      const { m } = (JSON.parse(body) as { models: { m: { settings: { batchSize: number }; source: string } } }).models;
      if (m.source === 'restored') restored += 1;
      // Not one that nobody asked for; the newest may not have reached the disk.
      expect([...sent]).toContain(m.settings.batchSize);
      expect(agent.logs.filter((line) => /damaged|could not be started|fault in/.test(line))).toEqual([]);
      let isOn = true;
      const writing = (async () => {
        // oxlint-disable-next-line no-unmodified-loop-condition -- turned off after the kill
        while (isOn) {
          size = (size % 63) + 1;
          sent.add(size);
          const put = { ...control, method: 'PUT', path: '/v1/settings?model=m&immediate=true' };
          await ask(agent.controlPort, { ...put, body: JSON.stringify({ batchSize: size }) }).catch(() => undefined);
        }
      })();
      await sleep(20 + random.next() * 200);
      const pids = [agent.supervisor.pid ?? null, agent.pidOf('data'), agent.pidOf('mind')];
      for (const pid of pids) kill(pid);
      isOn = false;
      await writing;
      await agents.pop()!.stop('SIGKILL');
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
  printFigure('killed agents', { 'starts (of 200)': starts, clean: starts, 'with restored settings': restored });
  expect(restored).toBeGreaterThan(0.5 * starts);
});
