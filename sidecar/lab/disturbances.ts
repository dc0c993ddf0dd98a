// What happens to an engine from outside: neighbours, drift, a cold start, as changes of its speed.
import type { Disturbance } from './cell.ts';

/** A neighbour that comes and goes: everything takes `slowdown` times as long for every other span. */
export function toNeighbour(durationS: number, spanS: number, slowdown: number): readonly Disturbance[] {
  return Array.from({ length: Math.max(0, Math.ceil(durationS / spanS) - 1) }, (_, index) => ({
    atS: (index + 1) * spanS,
    slowdown: index % 2 === 0 ? slowdown : 1,
    isJump: true,
  }));
}

/** Slow drift from 1 to `slowdown` over the run, in fifty small steps; none is a jump. */
export function toDrift(durationS: number, slowdown: number): readonly Disturbance[] {
  const steps = 50;
  return Array.from({ length: steps }, (_, index) => ({
    atS: ((index + 1) * durationS) / (steps + 1),
    slowdown: slowdown ** ((index + 1) / steps),
    isJump: false,
  }));
}

/** The first 3 % of the run are slow, falling to normal: caches, compilation, clocks. */
export function toColdStart(durationS: number, slowdown: number): readonly Disturbance[] {
  const steps = 6;
  return Array.from({ length: steps + 1 }, (_, index) => ({
    atS: (0.03 * durationS * index) / steps,
    slowdown: slowdown ** (1 - index / steps),
    isJump: false,
  }));
}
