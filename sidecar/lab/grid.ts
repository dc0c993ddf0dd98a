// The settings that the oracles may choose from, and the score of each over a whole cell.
import type { Settings } from '../../src/core/settings.ts';
import type { Cell } from './cell.ts';
import { ConstantRunner } from './constant-run.ts';
import { type Score, Scorer } from './score.ts';

const BATCH_SIZES = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64];
/** Shares of the SLA. */
const DELAY_RATIOS = [0, 1 / 40, 1 / 10, 1 / 4, 1 / 2, 3 / 4];
const CONCURRENCIES = [1, 2, 3, 4, 8];

/** One setting, held from the start to the end of a run, scored by stretch. */
export interface GridScore {
  readonly settings: Settings;
  readonly stretches: readonly Score[];
}

/** Batch x delay x concurrency, and the switch where the cell has one. A batch of 1 never waits, so there the delay is 0. */
export function toGrid(cell: Cell): readonly Settings[] {
  const switches = cell.alternative === null ? [{}] : [{}, { [cell.alternative.switchName]: true }];
  const grid: Settings[] = [];
  for (const positions of switches)
    for (const batchSize of BATCH_SIZES)
      for (const delayRatio of DELAY_RATIOS)
        for (const concurrency of CONCURRENCIES)
          if (batchSize > 1 || delayRatio === 0)
            grid.push({ batchSize, batchDelayMs: delayRatio * cell.slaMs, concurrency, switches: positions });
  return grid;
}

/** One simulation a setting gives p99 and cost, so it serves all modes. */
export function scoreGrid(cell: Cell, grid: readonly Settings[] = toGrid(cell)): readonly GridScore[] {
  const runner = new ConstantRunner(cell);
  const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
  return grid.map((settings) => {
    const trace = runner.run([{ atMs: 0, settings }]);
    return { settings, stretches: toStretchScores(scorer, trace) };
  });
}

/** The scored pieces of every stretch. */
export function toStretchScores(scorer: Scorer, trace: Parameters<Scorer['score']>[0]): readonly Score[] {
  return Array.from({ length: scorer.stretches }, (_, stretch) => scorer.score(trace, stretch, 'scored'));
}
