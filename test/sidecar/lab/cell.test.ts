import { describe, expect, test } from 'vitest';
import { toCellPolicy } from '../../../sidecar/lab/cell.ts';
import { toCell } from './cells.ts';

describe('a cell', () => {
  test('of 30,000 requests has a hundred intervals of 10 s in the time of the agent, and ratios that no scale changes', () => {
    const cell = toCell('poisson:50%', { length: { requests: 30_000 } });
    expect(cell.durationMs / cell.intervalMs).toBeCloseTo(100, 9);
    expect(cell.intervalMs).toBeCloseTo(10_000, 6);
    expect(cell.arrivalsMs.length / 30_000).toBeCloseTo(1, 1);
    const rate = cell.arrivalsMs.length / cell.durationMs;
    expect(rate / cell.curve.peakItemsPerMs).toBeCloseTo(0.5, 1);
    expect(cell.slaMs / cell.curve.latencyMs(16)).toBeCloseTo(60 / 12, 9);
    expect(toCellPolicy(cell, 'cost')).toMatchObject({ mode: 'cost', decideIntervalS: cell.intervalMs / 1000 });
  });

  test('of a duration is played as it is written, with intervals of 10 s', () => {
    const cell = toCell('steps:100@0,300@40', { length: { durationS: 120 } });
    expect([cell.timeScale, cell.durationMs, cell.intervalMs, cell.slaMs]).toEqual([1, 120_000, 10_000, 60]);
    expect(cell.stretchStartsMs).toEqual([0, 40_000]);
    expect(cell.jumpsMs).toEqual([40_000]);
  });

  test('with a given interval: as it is from a second up, in proportion below', () => {
    expect(toCell('poisson:100', { length: { durationS: 60 }, intervalS: 2 }).timeScale).toBe(1);
    expect(toCell('poisson:100', { length: { durationS: 60 }, intervalS: 0.5 }).timeScale).toBe(20);
    expect(toCell('poisson:100', { length: { requests: 6000 }, intervalS: 2 }).intervalMs).toBe(2000);
  });

  test('excuses the switches of a burst whose states outlast three intervals, and none of a flickering one', () => {
    expect(toCell('burst:20%/80%/10/10').jumpsMs.length).toBeGreaterThan(5);
    expect(toCell('burst:20%/80%/1/1', { length: { durationS: 100 } }).jumpsMs).toEqual([]);
    expect(toCell('sine:20%..80%/10').jumpsMs).toEqual([]);
  });

  test('replays a trace whole, its first requests, or for a time', () => {
    const timesS = Float64Array.from({ length: 1000 }, (_, index) => index / 10);
    const traffic = { kind: 'trace', timesS, speed: 10 } as const;
    expect(toCell('poisson:1', { traffic, length: { requests: 1000 } }).arrivalsMs).toHaveLength(1000);
    expect(toCell('poisson:1', { traffic, length: { requests: 100 } }).arrivalsMs).toHaveLength(100);
    const timed = toCell('poisson:1', { traffic, length: { durationS: 5 } });
    expect([timed.arrivalsMs.length, timed.durationMs]).toEqual([500, 5000]);
    expect(timed.arrivalsMs[1]).toBeCloseTo(10, 9);
  });

  test('keeps arrivals and noise apart: the seed of one cell gives the same arrivals to every engine', () => {
    const a = toCell('poisson:200', { length: { durationS: 20 } });
    const b = toCell('poisson:200', { length: { durationS: 20 }, interference: 0, slaP99Ms: 10 });
    const c = toCell('poisson:200', { length: { durationS: 20 }, seed: 2 });
    expect(b.arrivalsMs).toEqual(a.arrivalsMs);
    expect(c.arrivalsMs).not.toEqual(a.arrivalsMs);
  });
});
