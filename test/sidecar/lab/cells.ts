// Cells for the tests of the wind tunnel: small, and made from curves that are written down here.
import { type Cell, type CellSpec, createCell } from '../../../sidecar/lab/cell.ts';
import { isIssue, parseWorkload, type Workload } from '../../../src/traffic/workload.ts';

/** 4 + 0.5 n ms: a peak of 1,780 items/s at 64. */
export const POINTS = [1, 2, 4, 8, 16, 32, 64].map((items) => ({ items, latencyMs: 4 + 0.5 * items }));

export function toWorkload(spec: string): Workload {
  const workload = parseWorkload(spec);
  if (isIssue(workload)) throw new Error(workload.expected);
  return workload;
}

export function toCell(workload: string, more: Partial<CellSpec> = {}): Cell {
  return createCell(toSpec(workload, more));
}

export function toSpec(workload: string, more: Partial<CellSpec> = {}): CellSpec {
  return {
    points: POINTS,
    traffic: { kind: 'workload', workload: toWorkload(workload) },
    length: { requests: 6000 },
    slaP99Ms: 60,
    interference: 0.7,
    seed: 1,
    ...more,
  };
}
