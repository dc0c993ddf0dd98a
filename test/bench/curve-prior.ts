// The prior of the latency curve, from the training families: `node test/bench/curve-prior.ts` prints what src/model/curve-prior.ts holds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCurve, parseProfiles } from '../../sidecar/lab/profiles.ts';
import { splitProfiles } from '../../sidecar/lab/split.ts';

const KNOTS = [1, 2, 4, 8, 16, 32, 64];

/** Mean and covariance of ln L at the knots, each curve taken relative to its own mean over them. */
export function fitPrior(): { readonly mean: number[]; readonly covariance: number[][] } {
  const csv = readFileSync(join(import.meta.dirname, '../../sidecar/lab/data/gpu-latency-profiles.csv'), 'utf8');
  const { training } = splitProfiles(parseProfiles(csv));
  const rows = training.map(({ points }) => {
    const curve = createCurve(points);
    const logs = KNOTS.map((items) => Math.log(curve.latencyMs(items)));
    const level = logs.reduce((sum, value) => sum + value, 0) / logs.length;
    return logs.map((value) => value - level);
  });
  const mean = KNOTS.map((_, k) => rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length);
  const covariance = KNOTS.map((_, i) =>
    KNOTS.map((_, j) => rows.reduce((sum, row) => sum + (row[i]! - mean[i]!) * (row[j]! - mean[j]!), 0) / rows.length),
  );
  return { mean, covariance };
}

if (import.meta.main) {
  const { mean, covariance } = fitPrior();
  const round = (value: number): number => Number(value.toFixed(4));
  console.log(JSON.stringify({ mean: mean.map(round), covariance: covariance.map((row) => row.map(round)) }, null, 1));
}
