import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createCell } from '../../../sidecar/lab/cell.ts';
import { toProfilesFile } from '../../../sidecar/lab/demo-data.ts';
import { toColdStart, toDrift, toNeighbour } from '../../../sidecar/lab/disturbances.ts';
import { parseProfiles } from '../../../sidecar/lab/profiles.ts';
import { createScenario, createTelemetry, TRAINING_RANGES } from '../../../sidecar/lab/scenario.ts';
import { splitProfiles } from '../../../sidecar/lab/split.ts';
import { createRandom } from '../../../src/core/random.ts';

const { training } = splitProfiles(parseProfiles(readFileSync(toProfilesFile(), 'utf8')));
const random = createRandom(5);
const scenarios = Array.from({ length: 300 }, () => createScenario(training, random));

describe('scenarios', () => {
  test('come out of the seed alone', () => {
    const again = createRandom(5);
    expect(scenarios.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => createScenario(training, again)));
  });

  test('stay inside the ranges, and what may happen does about as often as asked', () => {
    for (const { spec } of scenarios) {
      expect(spec.interference).toBeGreaterThanOrEqual(0.3);
      expect(spec.interference).toBeLessThanOrEqual(1);
      expect(spec.points.every(({ latencyMs }) => latencyMs > 0)).toBe(true);
    }
    const share = (has: (one: (typeof scenarios)[number]) => boolean): number => scenarios.filter(has).length / 300;
    expect(share((one) => one.telemetry === 'none')).toBeCloseTo(TRAINING_RANGES.telemetryNone, 1);
    expect(share((one) => one.telemetry === 'late')).toBeCloseTo(TRAINING_RANGES.telemetryLate, 1);
    expect(share((one) => (one.spec.disturbances?.length ?? 0) > 0)).toBeCloseTo(0.65, 1);
    expect(share((one) => one.spec.alternative !== undefined)).toBeCloseTo(TRAINING_RANGES.switch, 1);
    expect(share((one) => one.start !== null)).toBeCloseTo(TRAINING_RANGES.otherStart, 1);
    // Published curves are non-monotone now and then; ripples make it common.
    const isFalling = (one: (typeof scenarios)[number]): boolean =>
      one.spec.points.some(({ latencyMs }, index) => latencyMs < 0.97 * (one.spec.points[index - 1]?.latencyMs ?? 0));
    expect(share(isFalling)).toBeGreaterThan(0.05);
  });

  test('one range changed leaves every other draw as it was', () => {
    const a = createScenario(training, createRandom(9));
    const b = createScenario(training, createRandom(9), { ...TRAINING_RANGES, interference: [0, 0] });
    expect({ ...b.spec, interference: a.spec.interference }).toEqual(a.spec);
  });

  test('each can be made a cell', () => {
    for (const { spec } of scenarios.slice(0, 40)) {
      const cell = createCell(spec);
      expect(cell.arrivalsMs.length).toBeGreaterThan(1000);
      expect(cell.disturbances.every((one) => one.slowdown > 0.4 && one.slowdown < 4)).toBe(true);
    }
  });
});

test('disturbances: a neighbour jumps, drift creeps, a cold start ends at normal', () => {
  expect(toNeighbour(100, 20, 1.5).map((one) => [one.atS, one.slowdown])).toEqual([
    [20, 1.5],
    [40, 1],
    [60, 1.5],
    [80, 1],
  ]);
  const drift = toDrift(100, 1.3);
  expect(drift.at(-1)!.slowdown).toBeCloseTo(1.3, 9);
  expect(drift.some((one) => one.isJump)).toBe(false);
  const cold = toColdStart(100, 3);
  expect([cold[0]!.slowdown, cold.at(-1)!.slowdown, cold.at(-1)!.atS]).toEqual([3, 1, 3]);
});

test('telemetry: utilisation of the last tenth of an interval, an age that guards must see, or nothing', () => {
  const fresh = createTelemetry('fresh', 10_000);
  fresh(0, 0);
  fresh(1000, 500);
  expect(fresh(2000, 1400)?.devices[0]?.utilizationRatio).toBeCloseTo(0.9, 9);
  const late = createTelemetry('late', 10_000);
  expect(late(0, 0)?.health[0]?.ageMs).toBeGreaterThan(3 * 10_000);
  expect(createTelemetry('none', 10_000)(0, 0)).toBeNull();
});
