// Two models behind one agent: what befalls one is none of the other's business. The model server answers each for
// itself here, so that whatever crosses over can only have crossed in the agent.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { median, openLoop, testScale, type LoadResult } from '../support/agent-load.ts';
import { watchNeighbours } from '../support/agent-neighbours.ts';
import { UNTUNED } from '../support/agent-servers.ts';
import { sendJson, startUpstream, type Upstream } from '../support/agent-upstream.ts';
import { modelStatus, startAgent, type Agent } from '../support/agent.ts';
import { ask, type Asked } from '../support/peers/http-ask.ts';

const predict = (model: string, i: number): Asked => ({
  method: 'POST',
  path: `/v1/models/${model}:predict`,
  headers: ['Content-Type', 'application/json'],
  body: `{"instances":[${i}]}`,
});
const SERVICE_MS = 4;
const STEADY_PER_S = 80;
const NEIGHBOUR_PER_S = 20;
const FLOOD_PER_S = 250;
const ROUND_MS = 1000;
const PAIRS = Math.max(3, Math.round(10 * testScale()));

test('each model has settings of its own, in the gauges and in what the model server sees', async () => {
  await using upstream = await startUpstream();
  await using agent = await startAgent(upstream.url, UNTUNED);
  upstream.latencyMs = 40;
  for (const model of ['a', 'b']) await ask(agent.port, predict(model, 0));
  const put = (model: string, settings: object): Promise<unknown> =>
    agent.control('PUT', `/v1/settings?model=${model}&immediate=true`, settings);
  // So long a delay that twenty-four have come on any machine.
  await put('a', { batchSize: 8, batchDelayMs: 900, concurrency: 2 });
  await put('b', { batchSize: 1, batchDelayMs: 0, concurrency: 3 });
  upstream.calls.length = 0;
  await Promise.all(Array.from({ length: 48 }, (_, i) => ask(agent.port, predict(i % 2 === 0 ? 'a' : 'b', i))));
  const sizes = (model: string): number[] =>
    upstream.calls.filter(({ path }) => path.includes(`/${model}:`)).map(({ items }) => items);
  expect(sizes('a')).toEqual([8, 8, 8]);
  expect(sizes('b')).toEqual(Array(24).fill(1));
  const page = await agent.metrics();
  expect(['a', 'b'].map((model) => page.sum('morphling_config_batch_size_limit', { model }))).toEqual([8, 1]);
  expect(['a', 'b'].map((model) => page.sum('morphling_config_concurrency_limit', { model }))).toEqual([2, 3]);
  await agent.control('POST', '/v1/rollback?model=a');
  expect((await modelStatus(agent, 'a'))?.settings.batchSize).toBe(64);
  expect((await modelStatus(agent, 'b'))?.settings).toMatchObject({ batchSize: 1, concurrency: 3 });
});

describe('with a neighbour that misbehaves', () => {
  let upstream: Upstream;
  let agent: Agent;
  let neighbour: 'well' | 'errors' | 'slow' = 'well';
  beforeAll(async () => {
    upstream = await startUpstream();
    upstream.answer = ({ path, body }, response) => {
      const isBad = path.includes('/bad:') && neighbour !== 'well';
      if (isBad && neighbour === 'errors') return sendJson(response, 500, '{"error":"broken"}');
      const answer = (): void => sendJson(response, 200, body.replace('instances', 'predictions'));
      return void setTimeout(answer, isBad ? 1500 : SERVICE_MS);
    };
    agent = await startAgent(upstream.url, {
      flags: ['--decider', 'linear', '--accelerator', 'busy'],
      config: {
        engineMetrics: 'off',
        policy: {
          sla: { p99Ms: 250 },
          sampling: { intervalS: 1, burstIntervalS: 1 },
          decideIntervalS: 1,
          rollback: { windowS: 2 },
        },
      },
    });
    // Both are known and settled before anything goes wrong.
    await Promise.all([steady(1, 8000), bad(NEIGHBOUR_PER_S, 1, 8000)]);
  });
  afterAll(async () => {
    await agent?.stop();
    await upstream?.close();
  });

  const load = (model: string, ratePerS: number, seed: number, durationMs: number): Promise<LoadResult> =>
    openLoop(agent.port, { ratePerS, durationMs, seed, request: (n) => predict(model, n) });
  const steady = (seed: number, durationMs = ROUND_MS): Promise<LoadResult> =>
    load('good', STEADY_PER_S, seed, durationMs);
  const bad = (ratePerS: number, seed: number, durationMs = ROUND_MS): Promise<LoadResult> =>
    load('bad', ratePerS, 1000 + seed, durationMs);
  /** The settings in force of the good one and how often they changed. */
  const standing = async (): Promise<{ settings: object; generation: number }> => {
    const status = await modelStatus(agent, 'good');
    return { settings: status?.settings ?? {}, generation: status?.generation ?? 0 };
  };

  /** The good one's p99 while the other misbehaves over its p99 while it does not, a ratio a pair; who is first by turns. */
  async function compare(pairs: number, misbehave: (seed: number) => Promise<LoadResult>) {
    const ratios: number[] = [];
    const p99sMs: number[] = [];
    const badStatuses: Record<string, number> = {};
    const badP50sMs: number[] = [];
    let lost = 0;
    for (let pair = 0; pair < pairs; pair++) {
      const calm = async (): Promise<number> => {
        const [{ p99Ms }] = await Promise.all([steady(pair), bad(NEIGHBOUR_PER_S, pair)]);
        return p99Ms;
      };
      const troubled = async (): Promise<number> => {
        const [{ p99Ms, sent, latenciesMs }, other] = await Promise.all([steady(pair), misbehave(pair)]);
        lost += sent - latenciesMs.length;
        badP50sMs.push(other.p50Ms);
        for (const [status, count] of Object.entries(other.statuses))
          badStatuses[status] = (badStatuses[status] ?? 0) + count;
        return p99Ms;
      };
      const calmMs = pair % 2 === 0 ? await calm() : 0;
      const troubledMs = await troubled();
      ratios.push(troubledMs / (calmMs || (await calm())));
      p99sMs.push(troubledMs);
    }
    return { ratios, p99sMs, badStatuses, badP50sMs, lost };
  }

  let aaSpread = 0;

  test('A/A: with both well, the p99 of one differs from round to round by so much', async () => {
    const before = await standing();
    const { value, foreignCores } = await watchNeighbours(() =>
      compare(2 * PAIRS, (seed) => bad(NEIGHBOUR_PER_S, seed)),
    );
    const sorted = value.ratios.toSorted((a, b) => a - b);
    // The median of a few ratios moves by about a half of what single ones do.
    aaSpread = Math.max(...sorted.slice(1, -1).map((ratio) => Math.abs(Math.log(ratio))));
    console.log(
      `A/A: p99 ${median(value.p99sMs).toFixed(1)} ms, ratios ${toList(value.ratios)}, spread x${Math.exp(aaSpread).toFixed(2)}; ` +
        `changes of its settings ${(await standing()).generation - before.generation}; foreign cores ${foreignCores.toFixed(1)}`,
    );
    expect(value.ratios.length).toBe(2 * PAIRS);
  });

  test.each([
    ['answers every request with 500', 'errors', NEIGHBOUR_PER_S, '500'],
    ['takes 1.5 s a call', 'slow', NEIGHBOUR_PER_S, null],
    [`is flooded with ${FLOOD_PER_S} requests a second`, 'well', FLOOD_PER_S, '200'],
  ] as const)(
    'one that %s: the p99 of the other stays within the spread, its settings are its own',
    async (what, kind, ratePerS, status) => {
      const before = await standing();
      const { value, foreignCores, isQuiet } = await watchNeighbours(() =>
        compare(PAIRS, async (seed) => {
          neighbour = kind;
          const result = await bad(ratePerS, seed);
          neighbour = 'well';
          return result;
        }),
      );
      const after = await standing();
      const middle = median(value.ratios);
      const changes = after.generation - before.generation;
      console.log(
        `one that ${what}: p99 of the other ${median(value.p99sMs).toFixed(1)} ms, ratios ${toList(value.ratios)}, median ${middle.toFixed(2)} ` +
          `(A/A spread x${Math.exp(aaSpread).toFixed(2)}); its own answers ${JSON.stringify(value.badStatuses)}; lost of the other ${value.lost}, ` +
          `its settings ${JSON.stringify(after.settings)}, ${changes} changes; foreign cores ${foreignCores.toFixed(1)}`,
      );
      // It did misbehave, or the test shows nothing.
      if (status !== null) expect(Object.keys(value.badStatuses)).toContain(status);
      else expect(Math.max(...value.badP50sMs.filter(Number.isFinite))).toBeGreaterThan(1400);
      // Where others take the processors, a queue grows too old for its SLA by that alone, and is acted upon.
      if (!isQuiet) return;
      expect(Math.log(middle)).toBeLessThan(Math.max(Math.log(1.25), aaSpread));
      expect(value.lost).toBe(0);
      expect(changes).toBeLessThanOrEqual(2);
    },
  );
});

function toList(values: readonly number[]): string {
  return values.map((value) => value.toFixed(2)).join(' ');
}
