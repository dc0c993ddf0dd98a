import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Applier } from '../../../sidecar/act/apply.ts';
import { SettingsCell } from '../../../sidecar/act/cell.ts';
import { Cells, OTHER_MODEL } from '../../../sidecar/act/cells.ts';
import { formatChange } from '../../../sidecar/act/change-log.ts';
import { Trials } from '../../../sidecar/act/trial.ts';
import { createSwitchback } from '../../../sidecar/proxy/trial.ts';
import { createRandom } from '../../../src/core/random.ts';
import { SavedSettings } from '../../../sidecar/act/saved.ts';
import type { HistoryEntry } from '../../../src/core/history.ts';
import { DEFAULT_POLICY, toBounds } from '../../../src/core/policy.ts';
import type { Proposal } from '../../../src/core/proposal.ts';
import { type Settings, START_SETTINGS } from '../../../src/core/settings.ts';
import { windowOf } from './window.ts';

const sla = { p99Ms: 100, isAssumed: false };
const bounds = toBounds(DEFAULT_POLICY, sla);
const settingsOf = (batchSize: number, batchDelayMs = 0, concurrency = 1): Settings => ({
  batchSize,
  batchDelayMs,
  concurrency,
  switches: {},
});
const calm = windowOf({ p99Ms: 50 });

function setUp() {
  const cells = new Cells({ boundsOf: () => bounds });
  const applier = new Applier({ cells, policy: () => DEFAULT_POLICY, wallMs: () => 0 });
  const entries: HistoryEntry[] = [];
  applier.subscribe((entry) => entries.push(entry));
  const propose = (settings: Settings, nowMs = 0) => {
    const proposal: Proposal = {
      model: 'm',
      settings,
      class: 'step',
      decider: 'test',
      reason: 'try',
      predicted: null,
      evidence: {},
    };
    return applier.propose(proposal, calm, nowMs);
  };
  const observe = (window: ReturnType<typeof windowOf>, nowMs: number) =>
    applier.observe({ model: 'm', window, sla }, nowMs);
  return { cells, applier, entries, propose, observe, current: () => cells.get('m').current };
}

describe('a cell', () => {
  test('whatever is put, what is in force is within the bounds, frozen, and the generation counts real changes only', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(number, number, number)), (puts) => {
        const cell = new SettingsCell('m', bounds, { settings: START_SETTINGS, source: 'start' });
        for (const [size, delay, concurrency] of puts) {
          const before = cell.current;
          const after = cell.put(settingsOf(size, delay, concurrency), 'decider');
          expect(after.settings.batchSize).toSatisfy((n: number) => Number.isInteger(n) && n >= 1 && n <= 64);
          expect(after.settings.concurrency).toSatisfy((n: number) => Number.isInteger(n) && n >= 1 && n <= 64);
          expect(after.settings.batchDelayMs).toSatisfy((n: number) => n >= 0 && n <= 75);
          expect(after === before || after.generation === before.generation + 1).toBe(true);
          expect(Object.isFrozen(after) && Object.isFrozen(after.settings)).toBe(true);
        }
      }),
    );
  });

  test('refuses what is not a number', () => {
    const cell = new SettingsCell('m', bounds, { settings: START_SETTINGS, source: 'start' });
    expect(() => cell.put(settingsOf(Number.NaN), 'decider')).toThrow('finite');
    expect(cell.current.settings).toEqual(START_SETTINGS);
  });

  test('new bounds hold at once', () => {
    const cells = new Cells({ boundsOf: () => limit });
    let limit = bounds;
    cells.get('m');
    limit = { ...bounds, batchSize: [1, 8] };
    cells.rebound();
    expect(cells.get('m').current).toMatchObject({ settings: { batchSize: 8 }, generation: 2 });
  });
});

describe('cells', () => {
  test('are made on first sight, at most so many; the rest share one', () => {
    const cells = new Cells({ boundsOf: () => bounds, limit: 3, reserved: ['mine'] });
    const names = Array.from({ length: 1000 }, (_, index) => cells.get(`random-${index}`).model);
    expect(new Set(names)).toEqual(new Set(['random-0', 'random-1', OTHER_MODEL]));
    expect(cells.get('mine').model).toBe('mine');
    expect(cells.all()).toHaveLength(4);
    expect(cells.find('random-5')).toBeNull();
  });

  test("one model's change never moves another's settings", () => {
    const cells = new Cells({ boundsOf: () => bounds });
    const other = cells.get('b').current;
    cells.get('a').put(settingsOf(8), 'user');
    expect(cells.get('b').current).toBe(other);
  });
});

describe('a change', () => {
  test('is in force at once, but the last good only after two good windows and the rollback window', () => {
    const { applier, cells, propose, observe, entries, current } = setUp();
    expect(propose(settingsOf(8)).kind).toBe('applied');
    expect(current()).toMatchObject({ settings: { batchSize: 8 }, generation: 2, source: 'decider' });
    observe(windowOf({ p99Ms: 500 }), 5000); // still holds answers from before: not judged
    observe(calm, 10_000);
    expect(applier.lastGood(cells.get('m'))).toEqual(START_SETTINGS);
    observe(calm, 20_000);
    expect(applier.lastGood(cells.get('m'))).toEqual(settingsOf(8));
    expect(entries.map(({ result }) => result)).toEqual(['applied', 'proven']);
    expect(applier.isWatching('m')).toBe(false);
  });

  test('that makes things worse is rolled back to the last good within one window', () => {
    const { propose, observe, entries, current } = setUp();
    propose(settingsOf(8));
    observe(windowOf({ p99Ms: 110 }), 10_000);
    expect(current()).toMatchObject({ settings: START_SETTINGS, generation: 3, source: 'rollback' });
    expect(entries[1]).toMatchObject({
      result: 'rolled_back',
      class: 'step',
      from: { batchSize: 8 },
      to: { batchSize: 64 },
    });
    expect(entries[1]?.measured?.p99Ms).toBe(110);
    expect(formatChange(entries[1]!)).toBe('m: 8 / 0 ms / 1 -> 64 / 0 ms / 1 (rolled_back, step by rollback)');
  });

  test('is never proven by silence', () => {
    const { applier, propose, observe } = setUp();
    propose(settingsOf(8));
    for (let at = 10_000; at < 1e6; at += 10_000) observe(windowOf({ p99Ms: 1, batches: 0 }), at);
    expect(applier.isWatching('m')).toBe(true);
  });

  test('on top of an unproven one goes back to the proven one, not halfway', () => {
    const { propose, observe, current } = setUp();
    propose(settingsOf(32));
    propose(settingsOf(16), 1000);
    observe(windowOf({ p99Ms: 300 }), 12_000);
    expect(current().settings).toEqual(START_SETTINGS);
  });

  test('that diverged is refused and recorded', () => {
    const { propose, entries, current } = setUp();
    expect(propose(settingsOf(Number.NaN)).kind).toBe('refused');
    expect(current().generation).toBe(1);
    expect(entries[0]?.result).toBe('refused');
  });

  test('of a decider is clamped, of a person refused with every bad field', () => {
    const { applier, propose, current } = setUp();
    propose(settingsOf(1000));
    expect(current().settings.batchSize).toBe(64);
    const answer = applier.setByUser('m', settingsOf(1000, 1000), true, null, 0);
    expect(answer.kind === 'refused' && answer.issues.map(({ field }) => field)).toEqual(['batchSize', 'batchDelayMs']);
  });

  test('to what is in force already changes and records nothing', () => {
    const { propose, entries } = setUp();
    expect(propose(START_SETTINGS).kind).toBe('unchanged');
    expect(entries).toEqual([]);
  });

  test('can be taken back by hand, once', () => {
    const { applier, propose, current } = setUp();
    propose(settingsOf(8));
    expect(applier.rollBack('m', 'asked for', 0).kind).toBe('applied');
    expect(current().settings).toEqual(START_SETTINGS);
    expect(applier.rollBack('m', 'asked for', 0).kind).toBe('unchanged');
  });

  test('a listener that throws keeps nobody from being told, nor the rollback from being made', () => {
    const { applier, propose, observe, current, entries } = setUp();
    const stop = applier.subscribe(() => {
      throw new Error('full disk');
    });
    applier.subscribe((entry) => entries.push(entry));
    propose(settingsOf(8));
    observe(windowOf({ p99Ms: 500 }), 10_000);
    expect(current().source).toBe('rollback');
    expect(entries).toHaveLength(4);
    stop();
  });

  test('any sequence of changes and windows ends within bounds, and a rollback always reaches proven settings', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('propose' as const), size: fc.integer({ min: -5, max: 100 }) }),
      fc.record({ kind: fc.constant('window' as const), p99Ms: fc.integer({ min: 1, max: 400 }) }),
      fc.constant({ kind: 'rollback' as const }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { applier, propose, observe, entries, current } = setUp();
        const good = new Set(['64']);
        applier.subscribe((entry) => {
          if (entry.result === 'proven') good.add(String(entry.to.batchSize));
          if (entry.result === 'rolled_back') expect(good).toContain(String(entry.to.batchSize));
        });
        steps.forEach((one, index) => {
          if (one.kind === 'propose') propose(settingsOf(one.size), index * 10_000);
          else if (one.kind === 'window') observe(windowOf({ p99Ms: one.p99Ms }), index * 10_000);
          else applier.rollBack('m', 'asked for', 0);
        });
        expect(current().generation).toBe(
          1 + entries.filter(({ result }) => result === 'applied' || result === 'rolled_back').length,
        );
      }),
    );
  });
});

describe('a step under trials', () => {
  const step = (settings: Settings): Proposal => ({
    model: 'm',
    settings,
    class: 'step',
    decider: 'test',
    reason: 'try',
    predicted: null,
    evidence: {},
  });
  const propose = (sloAttainment: number) => {
    const cells = new Cells({ boundsOf: () => bounds });
    const trials = new Trials({
      createPlayer: createSwitchback,
      policy: () => DEFAULT_POLICY,
      slaMs: () => 100,
      random: createRandom(1),
    });
    const applier = new Applier({ cells, trials, policy: () => DEFAULT_POLICY, wallMs: () => 0 });
    applier.propose(step(settingsOf(32)), { ...windowOf({ p99Ms: 90 }), sloAttainment }, 0);
    return { batchSize: cells.get('m').current.settings.batchSize, isWatching: applier.isWatching('m') };
  };

  test('is tried first while the SLA is kept, and put in force at once and watched where it is broken', () => {
    expect(propose(0.99).batchSize).toBe(64);
    expect(propose(0.6)).toEqual({ batchSize: 32, isWatching: true });
  });
});

describe('what a restart finds', () => {
  const of = (gpu: string | null) => ({ model: 'm', version: '1', engine: 'triton', gpu });

  test('is the last good setting of a change that had no verdict yet, but what a person insisted on', () => {
    const { applier, propose, cells } = setUp();
    cells.get('m');
    const saved = new SavedSettings();
    propose(settingsOf(8));
    saved.update(of('T4'), applier.standings()[0]!, 1);
    expect(saved.restore(of('T4'))).toEqual({ settings: START_SETTINGS, source: 'restored' });
    applier.setByUser('m', settingsOf(4), true, null, 0);
    saved.update(of('T4'), applier.standings()[0]!, 2);
    expect(saved.restore(of('T4'))?.settings).toEqual(settingsOf(4));
  });

  test('is of the same class only; what is not known yet fits, and the newest wins', () => {
    const standing = (size: number) => ({
      model: 'm',
      inForce: settingsOf(size),
      lastGood: settingsOf(size),
      isForced: false,
    });
    const saved = new SavedSettings();
    saved.update(of('T4'), standing(2), 2);
    saved.update(of('A10'), standing(1), 1);
    const again = new SavedSettings();
    expect(again.load(JSON.parse(JSON.stringify(saved.toValue())))).toEqual({ loaded: 2, dropped: 0 });
    expect(again.restore(of('A10'))?.settings.batchSize).toBe(1);
    expect(again.restore(of('H100'))).toBeNull();
    expect(again.restore(of(null))?.settings.batchSize).toBe(2);
    expect(again.restore({ ...of('T4'), version: '2' })).toBeNull();
  });

  test('is nothing, never an exception, where the state is nonsense', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const saved = new SavedSettings();
        saved.load(value);
        saved.load({ models: [value, { class: value, inForce: value }] });
        expect(saved.restore(of(null))).toBeNull();
      }),
    );
  });

  test('is bounded, oldest classes first', () => {
    const saved = new SavedSettings();
    for (let index = 0; index < 500; index++) {
      saved.update(
        { ...of(null), model: `m${index}` },
        { model: 'm', inForce: START_SETTINGS, lastGood: START_SETTINGS, isForced: false },
        index,
      );
    }
    expect(saved.toValue().models).toHaveLength(200);
    expect(saved.toValue().models[0]?.class.model).toBe('m300');
  });
});
