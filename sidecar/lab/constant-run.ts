// A cell under settings that are known beforehand: through the replay, with the agent's admission, at tens of millions of requests a second.
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import { type EngineModel, toEngineModel } from '../../src/model/engine-model.ts';
import { Replay } from '../../src/model/replay.ts';
import type { Cell } from './cell.ts';
import { createNoise } from './engine.ts';
import { LaneGatekeeper } from './gatekeeper.ts';
import type { LatencyCurve } from './profiles.ts';
import type { RunTrace } from './score.ts';
import { toCutsMs } from './timeline.ts';

/** Settings from a moment on. */
export interface Scheduled {
  readonly atMs: number;
  readonly settings: Settings;
}

/** Runs one cell again and again; arrays are made once. The latencies of a trace hold until the next run. */
export class ConstantRunner {
  readonly #cell: Cell;
  readonly #replay = new Replay();
  readonly #engines: ReadonlyMap<boolean, EngineModel>;
  readonly #stopsMs: readonly number[];

  constructor(cell: Cell) {
    this.#cell = cell;
    this.#replay.load(cell.arrivalsMs);
    const toModel = (curve: LatencyCurve): EngineModel =>
      toEngineModel((items) => curve.latencyMs(items), cell.interference);
    this.#engines = new Map([
      [false, toModel(cell.curve)],
      [true, toModel(cell.alternative?.curve ?? cell.curve)],
    ]);
    this.#stopsMs = [...toCutsMs(cell.pieces), ...cell.disturbances.map((one) => one.atMs)].toSorted((a, b) => a - b);
  }

  /** The first entry holds from the start. The engine's switch stands as the first entry has it, for the whole run. */
  run(schedule: readonly Scheduled[]): RunTrace {
    const cell = this.#cell;
    const replay = this.#replay;
    const first = schedule[0]!.settings;
    const isOn = cell.alternative !== null && first.switches[cell.alternative.switchName] === true;
    replay.reset({
      engine: this.#engines.get(isOn)!,
      noise: createNoise(createRandom(cell.seed).fork('noise'), cell.noiseRatio),
      gatekeeper: new LaneGatekeeper(cell.slaMs),
    });
    const cutsMs = toCutsMs(cell.pieces);
    const stops = [...this.#stopsMs, ...schedule.map((one) => one.atMs)].toSorted((a, b) => a - b);
    const busyAtCutsMs: number[] = [];
    let settings = first;
    let scheduled = 1;
    let disturbed = 0;
    for (const [index, stopMs] of stops.entries()) {
      if (stopMs <= 0 || stopMs === stops[index - 1]) continue;
      replay.run(settings, stopMs);
      if (stopMs === cutsMs[busyAtCutsMs.length]) busyAtCutsMs.push(replay.busyMs);
      for (; (schedule[scheduled]?.atMs ?? Infinity) <= stopMs; scheduled++) settings = schedule[scheduled]!.settings;
      for (; (cell.disturbances[disturbed]?.atMs ?? Infinity) <= stopMs; disturbed++)
        replay.setSlowdown(cell.disturbances[disturbed]!.slowdown);
    }
    replay.run(settings, Infinity);
    busyAtCutsMs.push(replay.busyMs);
    return { latenciesMs: replay.latenciesMs, busyAtCutsMs, batches: replay.batches, endMs: replay.nowMs };
  }

  /** Requests in the system, integrated over the last run, ms. */
  get areaMs(): number {
    return this.#replay.areaMs;
  }
}
