import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConstantRunner, type Scheduled } from '../../../sidecar/lab/constant-run.ts';
import type { RunTrace } from '../../../sidecar/lab/score.ts';
import { runWorld } from '../../../sidecar/lab/world.ts';
import type { Cell } from '../../../sidecar/lab/cell.ts';
import { toCell } from './cells.ts';

/** The agent's own lane under settings that change when the schedule says. */
function runLane(cell: Cell, schedule: readonly Scheduled[]): RunTrace {
  let atMs = 0;
  const inForce = (): Scheduled => schedule.findLast((one) => one.atMs <= atMs) ?? schedule[0]!;
  const versions = new Map(
    schedule.map((one, index) => [one, { settings: one.settings, generation: index + 1, source: 'start' as const }]),
  );
  return runWorld({
    cell,
    version: () => versions.get(inForce())!,
    changesMs: schedule.map((one) => one.atMs),
    createWatcher: () => ({
      arrived: () => undefined,
      started: () => undefined,
      ended: () => undefined,
      settled: () => undefined,
      nextTickMs: () => Infinity,
      tick: () => undefined,
      look(nowMs) {
        atMs = nowMs;
      },
    }),
  });
}

const settings = fc.record({
  batchSize: fc.constantFrom(1, 2, 5, 16, 64),
  batchDelayMs: fc.constantFrom(0, 0, 300, 2000),
  concurrency: fc.constantFrom(1, 2, 3, 8),
  switches: fc.constant({}),
});
const workload = fc.constantFrom(
  'poisson:30%',
  'poisson:85%',
  'constant:60%',
  'steps:40%@0,130%@30,60%@60',
  'burst:20%/150%/5/9',
  'sine:10%..90%/40',
);

describe('the replay is the lane', () => {
  test('of every request the same latency or refusal, to the last bit, whatever the load, the setting and the device', () => {
    fc.assert(
      fc.property(
        workload,
        fc.array(settings, { minLength: 1, maxLength: 3 }),
        fc.constantFrom(0, 0.3, 0.7, 1),
        fc.constantFrom(12, 40, 200),
        fc.integer({ min: 1, max: 1000 }),
        fc.boolean(),
        (spec, many, interference, slaP99Ms, seed, isDisturbed) => {
          const cell = toCell(spec, {
            length: { requests: 1500 },
            interference,
            slaP99Ms,
            seed,
            disturbances: isDisturbed
              ? [
                  { atS: 0.2, slowdown: 1.7, isJump: true },
                  { atS: 0.6, slowdown: 1, isJump: false },
                ]
              : [],
          });
          const schedule = many.map((each, index) => ({
            atMs: (index * cell.durationMs) / many.length,
            settings: each,
          }));
          const lane = runLane(cell, schedule);
          const replay = new ConstantRunner(cell).run(schedule);
          expect(Buffer.from(new Uint8Array(replay.latenciesMs.buffer, 0, lane.latenciesMs.byteLength))).toEqual(
            Buffer.from(new Uint8Array(lane.latenciesMs.buffer)),
          );
          expect(replay.busyAtCutsMs).toEqual(lane.busyAtCutsMs);
          expect([replay.batches, replay.endMs]).toEqual([lane.batches, lane.endMs]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('overload is refused by both, or the equality would hold of nothing', () => {
    const cell = toCell('poisson:150%', { length: { requests: 3000 } });
    const schedule = [{ atMs: 0, settings: { batchSize: 64, batchDelayMs: 0, concurrency: 1, switches: {} } }];
    const refused = new ConstantRunner(cell).run(schedule).latenciesMs.filter(Number.isNaN).length;
    expect(refused).toBeGreaterThan(500);
    expect(runLane(cell, schedule).latenciesMs.filter(Number.isNaN)).toHaveLength(refused);
  });
});
