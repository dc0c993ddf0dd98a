// A setting on trial, in real time: the agent's processes before an emulated model server, under Poisson arrivals.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HistoryEntry } from '../../src/core/history.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { Settings, SettingsVersion } from '../../src/core/settings.ts';
import { until } from '../support/agent.ts';
import { type AgentProcess, startAgent } from '../support/peers/agent-process.ts';
import { ask, type Asked } from '../support/peers/http-ask.ts';
import { startTraffic, type Traffic } from '../support/traffic.ts';

const ENTRY = join(import.meta.dirname, '../../src/cli/morphling.mjs');
/** 10-20 ms a batch: 50 and more batches a second, so slices of a second hold enough. */
const PROFILE = 'ResNet-50-v1.5|T4|AMP-FP16|PyTorch';
const RATE_PER_S = 60;
/** So long that no other request takes as long on a busy machine. */
const BAD_DELAY_MS = 400;
/** Windows of 2 s, so that what is in force is proven soon; the trial is as it is by default. */
const POLICY = {
  ...DEFAULT_POLICY,
  mode: 'performance',
  sla: { p99Ms: 1000, errorRate: 0.01 },
  sampling: { intervalS: 2, burstIntervalS: 2 },
} as const;

const predict: Asked = {
  method: 'POST',
  path: '/v1/models/m:predict',
  headers: ['Content-Type', 'application/json'],
  body: '{"instances":[1]}',
};

interface ModelStatus {
  readonly settings: Settings;
  readonly lastGood: Settings;
  readonly trial?: {
    readonly candidate: Settings;
    readonly stage: number;
    readonly share: number;
    readonly blocks: number;
  };
}

let emulator: ChildProcess;
let upstream = '';
let agent: AgentProcess;
let traffic: Traffic;

beforeAll(async () => {
  emulator = spawn(
    process.execPath,
    [ENTRY, 'emulate', '--profile-id', PROFILE, '--model', 'm', '--listen', '127.0.0.1:0'],
    { env: { PATH: process.env['PATH'] ?? '' }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [emulator.stdout, emulator.stderr])
    stream?.setEncoding('utf8').on('data', (text) => (said += text));
  await until(
    () => /listening on http:\S+/.test(said),
    20_000,
    () => said,
  );
  upstream = /listening on (http:\S+)/.exec(said)?.[1] ?? '';
});
afterAll(() => {
  emulator.kill('SIGTERM');
});
beforeEach(async () => {
  agent = await startAgent(upstream, { policy: POLICY });
  traffic = startTraffic(agent.port, RATE_PER_S, () => predict);
  // Ten slices of the baseline are known before anything is tried.
  await until(
    () => traffic.ended.length > 12 * RATE_PER_S,
    40_000,
    () => `${traffic.ended.length} answers`,
  );
});
afterEach(async () => {
  await traffic.stop();
  await agent.stop();
});

async function control<T>(method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown): Promise<T> {
  const token = readFileSync(join(agent.stateDir, 'token'), 'utf8').trim();
  const headers = ['Content-Type', 'application/json', 'Host', `127.0.0.1:${agent.controlPort}`];
  const answer = await ask(agent.controlPort, {
    method,
    path,
    headers: [...headers, 'Authorization', `Bearer ${token}`],
    setsHost: true,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect([path, answer.status]).toEqual([path, 200]);
  return JSON.parse(answer.body.toString()) as T;
}

const history = async (): Promise<HistoryEntry[]> =>
  (await control<{ entries: HistoryEntry[] }>('GET', '/v1/history')).entries;
const status = async (): Promise<ModelStatus> =>
  (await control<{ models: ModelStatus[] }>('GET', '/v1/status')).models.find((model) => 'settings' in model)!;
const trialState = async (): Promise<string | undefined> => {
  const page = await fetch(`http://127.0.0.1:${agent.metricsPort}/metrics`);
  const line = /^morphling_trial_state\{state="(\w+)"\} 1$/m.exec(await page.text());
  return line?.[1];
};

describe('PUT /v1/settings', () => {
  test('of a bad setting: rolled back, at most a tenth of the requests has felt it, none was lost', async () => {
    const old = (await status()).settings;
    const startMs = performance.now();
    const sentBefore = traffic.sent;
    const answer = await control<SettingsVersion & { result: string }>('PUT', '/v1/settings', {
      batchDelayMs: BAD_DELAY_MS,
    });
    expect(answer).toMatchObject({ result: 'trial', settings: old });
    expect((await status()).trial).toMatchObject({ candidate: { batchDelayMs: BAD_DELAY_MS }, stage: 1, share: 0.1 });
    expect(await trialState()).toBe('running');

    await until(
      async () => (await history())[0]?.result === 'rolled_back',
      150_000,
      () => 'no rollback',
    );
    const tookMs = performance.now() - startMs;
    expect((await status()).trial).toBeUndefined();
    expect((await status()).settings).toEqual(old);
    expect(await trialState()).toBe('idle');
    expect((await history())[0]).toMatchObject({
      class: 'leap',
      source: 'rollback',
      from: { batchDelayMs: BAD_DELAY_MS },
      to: old,
      trial: { stage: 1, stages: 3, share: 0.1 },
    });
    // The rest of the block is the baseline's.
    await sleep(16_000);
    const ended = traffic.ended.slice(sentBefore);
    const slow = ended.filter(({ latencyMs }) => latencyMs > BAD_DELAY_MS).length;
    expect(slow).toBeGreaterThan(0);
    expect(slow / ended.length).toBeLessThan(0.12);
    expect(traffic.ended.filter(({ status: code }) => code !== 200)).toEqual([]);
    process.stdout.write(
      `rolled back after ${(tookMs / 1000).toFixed(1)} s, ${slow} of ${ended.length} requests felt it\n`,
    );
  });

  test('of a good setting: through its stages, then in force, then proven', async () => {
    await control('PUT', '/v1/settings', { batchSize: 48 });
    await until(
      async () => ['proven', 'rolled_back', 'withdrawn'].includes((await history())[0]?.result ?? ''),
      400_000,
      () => 'no end of the trial',
    );
    const entries = (await history()).toReversed();
    process.stdout.write(`${entries.map(({ at, result, reason }) => `${at} ${result}: ${reason}`).join('\n')}\n`);
    expect(entries.map(({ result }) => result)).toEqual(['trial', 'trial', 'applied', 'proven']);
    expect(await status()).toMatchObject({ settings: { batchSize: 48 }, lastGood: { batchSize: 48 } });
    expect(traffic.ended.filter(({ status: code }) => code !== 200)).toEqual([]);
  }, 500_000);

  test('kill -9 of the data process before the verdict: the old setting is what it comes back with', async () => {
    const old = (await status()).settings;
    await control('PUT', '/v1/settings', { batchSize: 48 });
    await until(
      async () => ((await status()).trial?.blocks ?? 0) >= 1,
      60_000,
      () => 'no block yet',
    );
    const pid = agent.pidOf('data');
    process.kill(pid ?? 0, 'SIGKILL');
    await until(
      () => ![pid, null].includes(agent.pidOf('data')),
      20_000,
      () => 'no new data process',
    );
    const before = traffic.ended.length;
    await until(
      () => traffic.ended.slice(before).filter((one) => one.status === 200).length > 50,
      20_000,
      () => 'no answers',
    );
    // The control port is bound a little after the data port, and the model is seen when its first request has come.
    let now: ModelStatus | undefined;
    const isThere = async (): Promise<boolean> => {
      try {
        now = await status();
        return now !== undefined;
      } catch {
        return false;
      }
    };
    await until(isThere, 10_000, () => 'no control port');
    expect(now).toMatchObject({ settings: old, lastGood: old });
    expect(now?.trial).toBeUndefined();
    expect((await history())[0]).toMatchObject({ result: 'trial', to: { batchSize: 48 } });
  });
});
