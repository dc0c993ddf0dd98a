// A sick driver must cost no request anything. nvidia-smi is replaced by one that hangs, fails, babbles, floods or is not
// there; a second agent with a healthy one gets the same traffic in turns, so that whatever the machine does meets both.
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedLoop, median, openLoop, testScale } from '../support/agent-load.ts';
import { watchNeighbours } from '../support/agent-neighbours.ts';
import { startUpstream, type Upstream } from '../support/agent-upstream.ts';
import { startAgent, until, type Agent } from '../support/agent.ts';
import type { Asked } from '../support/peers/http-ask.ts';
import { ROW, writeFake, type FakeNvidiaSmi } from '../src/telemetry/accelerator/fake-nvidia-smi.ts';

/** What the flag's file says is what it does from the next row on. */
const LOOP = `while :; do case "$(cat "$FLAG" 2>/dev/null)" in
  hang) sleep 60 ;;
  exit) exit 1 ;;
  garbage) head -c 3000 /dev/urandom; echo; sleep 0.1 ;;
  flood) head -c 10485760 /dev/zero | tr '\\0' x; sleep 0.1 ;;
  *) echo '${ROW}'; sleep 0.2 ;;
esac; done`;
const LIST = `case "$(cat "$FLAG" 2>/dev/null)" in hang) sleep 60 ;; exit) exit 1 ;; esac
echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)"`;

const REQUEST: Asked = {
  method: 'POST',
  path: '/v1/models/m:predict',
  headers: ['Content-Type', 'application/json'],
  body: '{"instances":[[1,2,3,4]]}',
};
const RATE_PER_S = 150;
const ROUND_MS = 800;
/** Pairs of rounds a fault, and for the spread of no fault at all. */
const PAIRS = Math.max(3, Math.round(10 * testScale()));
const AA_PAIRS = 2 * PAIRS;
/** From this age on no decision is made on a reading: three sampling intervals of 1 s. */
const STALE_S = 3;

describe('with a sick nvidia-smi', () => {
  let upstream: Upstream;
  const fakes: FakeNvidiaSmi[] = [];
  const agents: Agent[] = [];
  const start = async (): Promise<void> => {
    const fake = writeFake(LOOP, LIST);
    fakes.push(fake);
    agents.push(
      await startAgent(upstream.url, {
        flags: ['--decider', 'linear'],
        config: {
          telemetry: { nvidiaSmi: fake.path, dcgmUrl: 'http://127.0.0.1:9/metrics' },
          engineMetrics: 'off',
          policy: {
            sla: { p99Ms: 250 },
            sampling: { intervalS: 1, burstIntervalS: 1 },
            decideIntervalS: 1,
            rollback: { windowS: 2 },
          },
        },
      }),
    );
  };
  const [sick, healthy] = [() => agents[0]!, () => agents[1]!];
  const fake = (): FakeNvidiaSmi => fakes[0]!;
  const ageS = async (agent: Agent): Promise<number> =>
    (await agent.metrics()).sum('morphling_telemetry_age_seconds', { source: 'nvidia-smi' }) ?? Infinity;
  const errors = async (): Promise<number> =>
    (await sick().metrics()).sum('morphling_telemetry_errors_total', { source: 'nvidia-smi' }) ?? 0;
  const fresh = (agent: Agent, timeoutMs: number): Promise<void> =>
    until(
      async () => (await ageS(agent)) < 2,
      timeoutMs,
      () => `no reading:\n${agent.logs.join('\n')}`,
    );

  beforeAll(async () => {
    upstream = await startUpstream();
    upstream.latencyMs = 5;
    await start();
    await start();
    for (const agent of agents) {
      // The mind starts with the first window that holds a request.
      await closedLoop(agent.port, { concurrency: 2, durationMs: 500, request: () => REQUEST });
      await fresh(agent, 15_000);
    }
  });
  afterAll(async () => {
    for (const agent of agents) await agent.stop();
    await upstream?.close();
    for (const one of fakes) one.remove();
  });

  /** p99 with the sick one over p99 with the healthy one, a ratio a pair; the same arrivals, who is first by turns. */
  async function compare(pairs: number): Promise<{ ratios: number[]; p99sMs: number[] }> {
    const ratios: number[] = [];
    const p99sMs: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const ask = async (agent: Agent): Promise<number> => {
        const options = { ratePerS: RATE_PER_S, durationMs: ROUND_MS, seed: pair, request: () => REQUEST };
        const { statuses, p99Ms } = await openLoop(agent.port, options);
        expect(Object.keys(statuses)).toEqual(['200']);
        return p99Ms;
      };
      const order = pair % 2 === 0 ? [sick(), healthy()] : [healthy(), sick()];
      const found = new Map<Agent, number>();
      for (const agent of order) found.set(agent, await ask(agent));
      ratios.push((found.get(sick()) ?? 0) / (found.get(healthy()) ?? 1));
      p99sMs.push(found.get(sick()) ?? 0);
    }
    return { ratios, p99sMs };
  }

  let aaSpread = 0;
  const pooled: number[] = [];

  test('two agents without a fault differ by so much: the spread that all below is held against', async () => {
    const { value, foreignCores } = await watchNeighbours(() => compare(AA_PAIRS));
    aaSpread = Math.max(...quartiles(value.ratios).map((ratio) => Math.abs(ratio - 1)));
    console.log(
      `A/A: p99 ${median(value.p99sMs).toFixed(1)} ms, ratios ${toList(value.ratios)}, median ${median(value.ratios).toFixed(3)}, ` +
        `quartiles off by up to ${(100 * aaSpread).toFixed(1)} %; foreign cores ${foreignCores.toFixed(1)}`,
    );
    expect(value.ratios.length).toBe(AA_PAIRS);
  });

  /** Each breaks it and tells how to mend it. */
  const faults: readonly (readonly [string, () => () => void])[] = [
    ['exits with 1', () => say('exit')],
    ['prints garbage', () => say('garbage')],
    ['prints 10 MB at a time', () => say('flood')],
    [
      'is missing',
      () => {
        const { path } = fake();
        renameSync(path, `${path}.away`);
        const mend = say('exit');
        return () => {
          renameSync(`${path}.away`, path);
          mend();
        };
      },
    ],
    [
      'may not be executed',
      () => {
        const { path } = fake();
        chmodSync(path, 0o644);
        const mend = say('exit');
        return () => {
          chmodSync(path, 0o755);
          mend();
        };
      },
    ],
  ];
  function say(mode: string): () => void {
    const { flag } = fake();
    writeFileSync(flag, mode);
    return () => rmSync(flag);
  }

  /** Traffic to both while it is broken; what became of the reading meanwhile. */
  async function endure(what: string, break_: () => () => void): Promise<() => void> {
    const mend = break_();
    const { value, foreignCores } = await watchNeighbours(() => compare(PAIRS));
    pooled.push(...value.ratios);
    const age = await ageS(sick());
    await sleep(600);
    const later = await ageS(sick());
    console.log(
      `one that ${what}: p99 ${median(value.p99sMs).toFixed(1)} ms, ratios ${toList(value.ratios)}, median ` +
        `${median(value.ratios).toFixed(3)}; age ${age.toFixed(1)} s, foreign cores ${foreignCores.toFixed(1)}`,
    );
    expect(age).toBeGreaterThan(STALE_S);
    expect(later).toBeGreaterThan(age);
    expect(await ageS(healthy())).toBeLessThan(STALE_S);
    return mend;
  }

  /** The most of its processes that were alive at once while something was done. */
  async function mostChildren(work: () => Promise<void>): Promise<number> {
    let most = 0;
    const counting = setInterval(() => (most = Math.max(most, fake().alive().length)), 50);
    await work();
    clearInterval(counting);
    return most;
  }

  test.each(faults)(
    'one that %s: no request notices, its age grows, and it is read again when it is well',
    async (what, break_) => {
      const errorsBefore = await errors();
      const most = await mostChildren(async () => {
        const mend = await endure(what, break_);
        expect(await errors()).toBeGreaterThan(errorsBefore);
        mend();
        // Pauses between attempts have grown to some seconds.
        await fresh(sick(), 30_000);
      });
      expect(most).toBe(1);
    },
  );

  test('one that hangs for 60 s: the same, and decisions go on without the device until it is read again', async () => {
    const most = await mostChildren(async () => {
      const mend = await endure('hangs for 60 s', () => say('hang'));
      const stale = await decisionSources();
      mend();
      // It is ended after 10 s of silence.
      await fresh(sick(), 45_000);
      const well = await decisionSources();
      console.log(`decisions while it hung were made on: ${stale.join(' ')}; when it was well on: ${well.join(' ')}`);
      expect(new Set(stale)).toEqual(new Set(['busy']));
      expect(well).toContain('nvidia-smi');
    });
    expect(most).toBe(1);
  });

  /** What decisions of the next seconds name as their source; from batch 1 under load there is something to decide. */
  async function decisionSources(): Promise<string[]> {
    await sick().control('PUT', '/v1/settings?model=m&immediate=true', {
      batchSize: 1,
      batchDelayMs: 0,
      concurrency: 1,
    });
    const from = new Date().toISOString();
    await closedLoop(sick().port, { concurrency: 12, durationMs: 5000, request: () => REQUEST });
    const { explanations } = await sick().control<{ explanations: Explained[] }>('GET', '/v1/explain?model=m');
    return explanations.flatMap(({ at, decision }) =>
      at >= from && decision.kind === 'propose' ? [String(decision.proposal.evidence['deviceSource'])] : [],
    );
  }

  test('over all faults the p99 moves by less than 5 %, or than the machine itself moves it', () => {
    const middle = median(pooled);
    console.log(
      `all faults: median ratio of p99 ${middle.toFixed(3)} over ${pooled.length} pairs, quartiles ${toList(quartiles(pooled))}; A/A ${(100 * aaSpread).toFixed(1)} %`,
    );
    expect(Math.abs(middle - 1)).toBeLessThan(Math.max(0.05, aaSpread));
  });

  test('an agent that ends leaves none of it behind, not even one that hangs', async () => {
    say('hang');
    await until(
      async () => (await ageS(sick())) > STALE_S,
      10_000,
      () => 'it does not hang',
    );
    expect(fake().alive().length).toBe(1);
    for (const agent of agents.splice(0)) expect(await agent.stop()).toBe(0);
    for (const one of fakes) expect(one.alive()).toEqual([]);
  });
});

interface Explained {
  readonly at: string;
  readonly decision: {
    readonly kind: 'hold' | 'propose';
    readonly proposal: { readonly evidence: Readonly<Record<string, unknown>> };
  };
}

function quartiles(values: readonly number[]): [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number): number => sorted[Math.round(q * (sorted.length - 1))] ?? Number.NaN;
  return [at(0.25), at(0.75)];
}

function toList(values: readonly number[]): string {
  return values.map((value) => value.toFixed(2)).join(' ');
}
