// `morphling simulate`: a cell under a controller, and everything there is to say about it as one object.
import type { Mode } from '../../src/core/policy.ts';
import type { Settings } from '../../src/core/settings.ts';
import { type AgentRun, runAgent } from './agent-run.ts';
import { type Cell, type CellSpec, createCell, toCellPolicy } from './cell.ts';
import { ConstantRunner } from './constant-run.ts';
import type { Controller } from './controllers.ts';
import { findOracle, toSchedule } from './oracle.ts';
import { findReach } from './reach.ts';
import { type SimulationReport, toReport } from './report.ts';

export interface SimulationRequest {
  readonly spec: CellSpec;
  readonly mode: Mode;
  readonly controller: Controller;
  /** Where oracles are kept; null: nowhere. */
  readonly cacheDir: string | null;
  /** False leaves `decisionsTo95` out, which takes a search over the grid. */
  readonly hasReach?: boolean;
}

/** The same request gives the same object. Throws BAD_CONFIG where nothing would arrive. */
export function simulate(request: SimulationRequest): SimulationReport {
  const cell = createCell(request.spec);
  const run = runController(cell, request);
  const reach = request.hasReach === false ? null : findReach(cell, run, request.mode);
  return toReport({ cell, run, mode: request.mode, reach });
}

/** Runs a controller in a cell. Deciders run in the whole agent; what is known beforehand goes through the replay. */
export function runController(
  cell: Cell,
  { controller, mode, cacheDir }: Pick<SimulationRequest, 'controller' | 'mode' | 'cacheDir'>,
): AgentRun {
  switch (controller.kind) {
    case 'decider':
      return runAgent({ cell, policy: toCellPolicy(cell, mode), decider: controller.createDecider() });
    case 'fixed': {
      const { settings } = controller;
      return runSchedule(cell, [toCellSettings(cell, settings)]);
    }
    case 'oracle':
      return runSchedule(cell, findOracle(cell, cacheDir)[mode][controller.scope].settings);
    default:
      return controller satisfies never;
  }
}

/** Settings as a user gives them, in the time of the cell. */
function toCellSettings(cell: Cell, settings: Settings): Settings {
  return { ...settings, batchDelayMs: settings.batchDelayMs * cell.timeScale };
}

function runSchedule(cell: Cell, settings: readonly Settings[]): AgentRun {
  const schedule = toSchedule(cell, settings);
  const trace = new ConstantRunner(cell).run(schedule);
  const isNew = (index: number): boolean => index === 0 || settings[index] !== settings[index - 1];
  return {
    ...trace,
    settings: schedule.filter((_, index) => isNew(index)),
    changes: [],
    rollbacks: 0,
    decidedMs: [],
    vetoes: {},
  };
}
