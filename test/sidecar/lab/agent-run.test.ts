import { describe, expect, test } from 'vitest';
import { createFixed } from '../../../sidecar/decide/fixed.ts';
import { type AgentRun, type AgentRunOptions, runAgent } from '../../../sidecar/lab/agent-run.ts';
import { toCellPolicy } from '../../../sidecar/lab/cell.ts';
import type { ModelSnapshot } from '../../../src/core/snapshot.ts';
import { POINTS, toCell } from './cells.ts';

const slow = {
  points: POINTS.map(({ items, latencyMs }) => ({ items, latencyMs: 20 * latencyMs })),
  slaP99Ms: 1500,
  length: { durationS: 300 },
};
/** Wants single requests, whatever the load. */
const stubborn = createFixed({ batchSize: 1, batchDelayMs: 0, concurrency: 1, switches: {} });

function run(workload: string, more: Partial<AgentRunOptions> = {}): AgentRun {
  const cell = toCell(workload, slow);
  return runAgent({ cell, policy: toCellPolicy(cell, 'performance'), decider: stubborn, ...more });
}

describe('the agent in virtual time', () => {
  test('a step that single requests cannot hold trips the reflex, and less is lost than without it', () => {
    const workload = 'steps:6@0,50@150';
    const withReflex = run(workload);
    const reflex = withReflex.changes.filter((change) => change.class === 'reflex');
    expect(reflex.length).toBeGreaterThan(0);
    expect(reflex[0]!.atMs).toBeGreaterThan(150_000);
    const lost = ({ latenciesMs }: AgentRun): number => latenciesMs.filter(Number.isNaN).length;
    expect(lost(withReflex)).toBeLessThan(lost(run(workload, { hasReflex: false })));
  });

  test('changes go a notch at a time with a cool-down, and each ends with a verdict', () => {
    const { changes, settings } = run('poisson:6');
    expect(changes.length).toBeGreaterThan(1);
    for (const [index, change] of changes.entries()) {
      const before = changes[index - 1];
      if (change.class !== 'reflex' && before !== undefined) expect(change.atMs - before.atMs).toBeGreaterThan(19_000);
      expect(change.from).toEqual(settings[index]!.settings);
      expect(change.to).toEqual(settings[index + 1]!.settings);
    }
    expect(changes.at(-1)!.verdict).toBe('proven');
  });

  test('a change that makes things worse is rolled back by the watch and its settings are barred', () => {
    const { changes, rollbacks, vetoes } = run('poisson:30');
    expect(rollbacks).toBeGreaterThan(0);
    expect(changes.some((change) => change.verdict === 'rolled_back')).toBe(true);
    expect(vetoes['barred']).toBeGreaterThan(0);
  });

  test('telemetry reaches the decider through the snapshot, late readings and none included', () => {
    const sources = new Set<string>();
    const seen: ModelSnapshot[] = [];
    const reading = { devices: [], deviceSource: 'nvidia-smi', host: null, engine: null } as const;
    run('poisson:6', {
      telemetry: (nowMs) =>
        nowMs < 100_000
          ? null
          : { ...reading, health: [{ source: 'nvidia-smi', ageMs: 60_000, errors: 3, lastError: 'timed out' }] },
      decider: {
        name: 'watcher',
        decide(model, context) {
          sources.add(context.deviceSource);
          seen.push(model);
          return { kind: 'hold', model: model.model, decider: 'watcher', reason: 'looking' };
        },
      },
    });
    expect([...sources]).toEqual(['busy']);
    expect(seen).toHaveLength(30);
  });
});
