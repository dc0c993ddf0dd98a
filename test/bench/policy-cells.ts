// The cells of the league: held-out profiles x loads x interference x SLA, weighted to where rules leave room.
import { readFileSync } from 'node:fs';
import type { CellSpec } from '../../sidecar/lab/cell.ts';
import { toProfilesFile } from '../../sidecar/lab/demo-data.ts';
import { toDrift, toNeighbour } from '../../sidecar/lab/disturbances.ts';
import { createCurve, parseProfiles, type Profile } from '../../sidecar/lab/profiles.ts';
import { splitProfiles } from '../../sidecar/lab/split.ts';
import { isIssue, parseWorkload } from '../../src/traffic/workload.ts';

export interface LeagueCell {
  /** Unique and stable: results are kept under it. */
  readonly id: string;
  readonly spec: CellSpec;
}

/** Loads in shares of the peak; times stretch to the run. `slowdown` of a neighbour or of drift is on top. */
const LOADS: readonly {
  readonly name: string;
  readonly workload: string;
  readonly disturbed?: 'drift' | 'neighbour';
}[] = [
  { name: 'steady-85', workload: 'poisson:85%' },
  { name: 'steps', workload: 'steps:30%@0,80%@30,55%@60,90%@90' },
  { name: 'sine', workload: 'sine:40%..90%/10' },
  { name: 'steady-70', workload: 'poisson:70%' },
  { name: 'burst', workload: 'burst:30%/85%/10/15' },
  { name: 'neighbour', workload: 'poisson:60%', disturbed: 'neighbour' },
  { name: 'flash', workload: 'flash:35%/90%@30/15' },
  { name: 'drift', workload: 'poisson:65%', disturbed: 'drift' },
  { name: 'steady-93', workload: 'poisson:93%' },
  { name: 'steady-40', workload: 'poisson:40%' },
];
const INTERFERENCES = [0.7, 0.3, 1, 0];
/** SLA / L(16). */
const SLA_FACTORS = [2, 3, 1.3];
const NEIGHBOUR_SLOWDOWN = 1.35;
const DRIFT_SLOWDOWN = 1.3;

export function readSplit(): ReturnType<typeof splitProfiles> {
  return splitProfiles(parseProfiles(readFileSync(toProfilesFile(), 'utf8')));
}

/**
 * `count` cells, spread evenly over the whole product: the strides are prime to the lengths, so a short list has every
 * load, interference and SLA, and a longer one begins with the shorter.
 */
export function toCells(
  profiles: readonly Profile[],
  count: number,
  requests: number,
  seeds: number,
): readonly LeagueCell[] {
  const cells: LeagueCell[] = [];
  for (let index = 0; index < count; index++)
    for (let seed = 1; seed <= seeds; seed++)
      cells.push(
        toCell(
          profiles[(index * 7) % profiles.length]!,
          LOADS[index % LOADS.length]!,
          INTERFERENCES[Math.floor(index / 3) % INTERFERENCES.length]!,
          SLA_FACTORS[(index + Math.floor(index / 30)) % SLA_FACTORS.length]!,
          requests,
          seed,
        ),
      );
  return [...new Map(cells.map((cell) => [cell.id, cell])).values()];
}

function toCell(
  profile: Profile,
  load: (typeof LOADS)[number],
  interference: number,
  slaFactor: number,
  requests: number,
  seed: number,
): LeagueCell {
  const workload = parseWorkload(load.workload);
  if (isIssue(workload)) throw new Error(workload.expected);
  const curve = createCurve(profile.points);
  // Disturbed loads are steady, so their length is known.
  const ratio = workload.kind === 'poisson' && workload.rate.kind === 'ofPeak' ? workload.rate.ratio : 1;
  const durationS = requests / (ratio * curve.peakItemsPerMs * 1000);
  const disturbances =
    load.disturbed === 'neighbour'
      ? toNeighbour(durationS, durationS / 5, NEIGHBOUR_SLOWDOWN)
      : load.disturbed === 'drift'
        ? toDrift(durationS, DRIFT_SLOWDOWN)
        : [];
  return {
    id: [
      profile.id,
      load.name,
      `kappa ${interference}`,
      `SLA ${slaFactor} x L(16)`,
      `${requests}`,
      `seed ${seed}`,
    ].join(' / '),
    spec: {
      points: profile.points,
      traffic: { kind: 'workload', workload },
      length: { requests },
      slaP99Ms: slaFactor * curve.latencyMs(16),
      interference,
      seed,
      disturbances,
    },
  };
}
