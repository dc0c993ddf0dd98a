// One cell of the league: every controller in every mode against the best in hindsight.
import { MODES, MODE_WEIGHTS, type Mode } from '../../src/core/policy.ts';
import { createCell } from '../../sidecar/lab/cell.ts';
import { parseController } from '../../sidecar/lab/controllers.ts';
import { toStretchScores } from '../../sidecar/lab/grid.ts';
import { findOracle } from '../../sidecar/lab/oracle.ts';
import { findReach } from '../../sidecar/lab/reach.ts';
import { toReport } from '../../sidecar/lab/report.ts';
import { Scorer, toRunScore } from '../../sidecar/lab/score.ts';
import { runController } from '../../sidecar/lab/simulate.ts';
import type { LeagueCell } from './policy-cells.ts';

/** What one controller did in one cell and mode. */
export interface Outcome {
  readonly cell: string;
  readonly mode: Mode;
  readonly controller: string;
  /** objective / oracle-phase - 1; null where the run broke the SLA. */
  readonly regret: number | null;
  /** The same though it broke the SLA. */
  readonly softRegret: number;
  /** Share of the scored stretches that broke it. */
  readonly brokenStretches: number;
  readonly sloAttainment: number;
  readonly changes: number;
  readonly rollbacks: number;
  readonly unsafe: number;
  readonly decisionsTo95: number | null;
  /** Processor time of the whole run. */
  readonly cpuMs: number;
}

export interface CellResult {
  readonly cell: string;
  /** Modes in which even hindsight finds nothing that holds the SLA. */
  readonly infeasible: readonly Mode[];
  readonly outcomes: readonly Outcome[];
}

export interface PlayOptions {
  /** As `--controller` takes them. A name with `{mode}` stands for three. */
  readonly controllers: readonly string[];
  /** `best-constant` by mode: settings with the delay as a share of the SLA. */
  readonly constants: Readonly<Record<Mode, string>> | null;
  readonly cacheDir: string | null;
  readonly hasReach: boolean;
}

export function playCell({ id, spec }: LeagueCell, options: PlayOptions): CellResult {
  const cell = createCell(spec);
  const oracle = findOracle(cell, options.cacheDir);
  const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
  const outcomes: Outcome[] = [];
  for (const mode of MODES) {
    const best = oracle[mode].phase;
    if (!best.isFeasible) continue;
    for (const name of options.controllers) {
      const text = name === 'best-constant' ? options.constants?.[mode] : name;
      if (text === undefined) continue;
      const controller = parseController(text, spec.slaP99Ms);
      if ('expected' in controller) throw new Error(`${name}: ${controller.expected}`);
      const started = process.threadCpuUsage();
      const run = runController(cell, { controller, mode, cacheDir: options.cacheDir });
      const { user, system } = process.threadCpuUsage(started);
      const stretches = toStretchScores(scorer, run);
      const score = toRunScore(stretches, MODE_WEIGHTS[mode]);
      const scored = stretches.filter((stretch) => stretch.requests > 0);
      const report = toReport({ cell, run, mode, reach: options.hasReach ? findReach(cell, run, mode) : null });
      const softRegret = score.objective / best.objective - 1;
      outcomes.push({
        cell: id,
        mode,
        controller: name,
        regret: score.isFeasible ? softRegret : null,
        softRegret,
        brokenStretches: scored.filter((stretch) => !stretch.isFeasible).length / Math.max(1, scored.length),
        sloAttainment: report.sloAttainment,
        changes: report.decisions.length,
        rollbacks: report.rollbacks,
        unsafe: report.unsafeDecisions,
        decisionsTo95: report.decisionsTo95,
        cpuMs: (user + system) / 1000,
      });
    }
  }
  return { cell: id, infeasible: MODES.filter((mode) => !oracle[mode].phase.isFeasible), outcomes };
}
