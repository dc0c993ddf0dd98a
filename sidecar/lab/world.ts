// Arrivals, the agent's own lane and the modelled engine under a virtual clock. Whoever watches decides.
import { MorphlingError } from '../../src/core/errors.ts';
import { createRandom } from '../../src/core/random.ts';
import type { SettingsVersion } from '../../src/core/settings.ts';
import { createLane } from '../proxy/lane.ts';
import { EngineGate } from '../proxy/limit.ts';
import type { Batch, Lane, Waiting } from '../proxy/waiting.ts';
import type { Cell } from './cell.ts';
import { Engine } from './engine.ts';
import { QUEUE_REQUESTS } from './gatekeeper.ts';
import type { RunTrace } from './score.ts';
import { toCutsMs } from './timeline.ts';

/** One simulated request: one item. */
export interface LabRequest extends Waiting {
  /** Index of its arrival. */
  readonly index: number;
  slot: number;
}

/** The lane's load at an instant. */
export interface LaneView {
  readonly queuedRequests: number;
  readonly inflight: number;
  /** Null when none waits. */
  readonly oldestArrivedMs: number | null;
}

/** Who watches a run, in place of sense and what follows it. Called in order of time. */
export interface Watcher {
  arrived(nowMs: number): void;
  started(nowMs: number): void;
  /** A call ended; its members are settled already. */
  ended(batch: Batch<LabRequest>, endedMs: number): void;
  /** `batch` null: refused. */
  settled(request: LabRequest, batch: Batch<LabRequest> | null, endedMs: number): void;
  /** When `tick` is due; asked after every event. */
  nextTickMs(): number;
  tick(nowMs: number): void;
  /** After every event, before the lane acts. */
  look(nowMs: number): void;
}

export interface WorldOptions {
  readonly cell: Cell;
  /** The cell of settings. */
  readonly version: () => SettingsVersion;
  /** Moments at which `version` may change by itself, ms, ascending. */
  readonly changesMs?: readonly number[];
  /** Absent: nobody watches, which is several times as fast. */
  readonly createWatcher?: (lane: LaneView, engine: { readonly busyMs: number }) => Watcher;
}

const MODEL = 'lab';
/** Little's law may be off by rounding alone. */
const LAW_ERROR_RATIO = 1e-6;

/** Runs to the last answer. At one instant: stops (cuts, changes, disturbances), an end, a tick, an arrival, the lane. */
export function runWorld(options: WorldOptions): RunTrace {
  return new World(options).play();
}

class World {
  readonly #cell: Cell;
  readonly #version: () => SettingsVersion;
  readonly #engine: Engine;
  readonly #lane: Lane<LabRequest>;
  readonly #watcher: Watcher | null;
  readonly #stopsMs: readonly number[];
  readonly #flights = new Map<number, Batch<LabRequest>>();
  readonly #latenciesMs: Float64Array;
  #isSwitchOn = false;
  #batches = 0;
  #inSystem = 0;
  #areaMs = 0;
  #sumMs = 0;
  #nowMs = 0;
  #wakeMs = Infinity;

  constructor({ cell, version, changesMs, createWatcher }: WorldOptions) {
    this.#cell = cell;
    this.#version = version;
    this.#isSwitchOn = this.#wantsSwitch();
    this.#engine = new Engine({
      curve: (this.#isSwitchOn ? cell.alternative?.curve : null) ?? cell.curve,
      interference: cell.interference,
      random: createRandom(cell.seed).fork('noise'),
      noiseRatio: cell.noiseRatio,
    });
    this.#lane = createLane<LabRequest>({
      model: MODEL,
      settings: version,
      maxBatchSize: () => Infinity,
      sla: () => cell.slaMs,
      queueRequests: QUEUE_REQUESTS,
      random: createRandom(cell.seed).fork('retry-after'),
      gate: new EngineGate(Infinity),
    });
    this.#watcher = createWatcher?.(this.#lane, this.#engine) ?? null;
    const stops = [...toCutsMs(cell.pieces), ...cell.disturbances.map((one) => one.atMs), ...(changesMs ?? [])];
    this.#stopsMs = [...new Set(stops)].filter((atMs) => atMs > 0).toSorted((a, b) => a - b);
    this.#latenciesMs = new Float64Array(cell.arrivalsMs.length).fill(Number.NaN);
  }

  play(): RunTrace {
    const { arrivalsMs, disturbances } = this.#cell;
    const cutsMs = toCutsMs(this.#cell.pieces);
    const busyAtCutsMs: number[] = [];
    let next = 0;
    let stopped = 0;
    let disturbed = 0;
    while (
      next < arrivalsMs.length ||
      this.#flights.size > 0 ||
      this.#lane.queuedRequests > 0 ||
      stopped < this.#stopsMs.length
    ) {
      const arrivalMs = next < arrivalsMs.length ? arrivalsMs[next]! : Infinity;
      const tickMs = this.#watcher?.nextTickMs() ?? Infinity;
      const stopMs = this.#stopsMs[stopped] ?? Infinity;
      this.#pass(Math.min(arrivalMs, this.#engine.nextEndMs, this.#wakeMs, tickMs, stopMs));
      if (stopMs <= this.#nowMs) {
        stopped++;
        // Lets the engine's clock come up to now.
        if (this.#engine.nextEndMs > stopMs) this.#engine.end(stopMs);
        if (stopMs === cutsMs[busyAtCutsMs.length]) busyAtCutsMs.push(this.#engine.busyMs);
        for (; (disturbances[disturbed]?.atMs ?? Infinity) <= stopMs; disturbed++)
          this.#engine.setSlowdown(disturbances[disturbed]!.slowdown, stopMs);
        this.#drive();
        continue;
      }
      if (this.#engine.nextEndMs <= this.#nowMs) this.#end();
      if (tickMs <= this.#nowMs) this.#watcher?.tick(this.#nowMs);
      if (arrivalMs <= this.#nowMs) this.#arrive(next++);
      this.#drive();
    }
    busyAtCutsMs.push(this.#engine.busyMs);
    if (Math.abs(this.#areaMs - this.#sumMs) > LAW_ERROR_RATIO * Math.max(1, this.#sumMs))
      throw new MorphlingError(
        'INTERNAL',
        `Little's law broken: ${this.#areaMs} ms of presence, ${this.#sumMs} ms of latency`,
      );
    return { latenciesMs: this.#latenciesMs, busyAtCutsMs, batches: this.#batches, endMs: this.#nowMs };
  }

  #pass(toMs: number): void {
    this.#areaMs += this.#inSystem * (toMs - this.#nowMs);
    this.#nowMs = toMs;
  }

  #arrive(index: number): void {
    const nowMs = this.#nowMs;
    const request: LabRequest = {
      key: '',
      items: 1,
      isBatchable: true,
      arrivedMs: nowMs,
      deadlineMs: Infinity,
      priority: 1,
      index,
      slot: -1,
    };
    this.#watcher?.arrived(nowMs);
    if (this.#lane.arrive(request, nowMs).kind === 'shed') this.#watcher?.settled(request, null, nowMs);
    else this.#inSystem++;
  }

  #end(): void {
    const ended = this.#engine.end(this.#nowMs);
    if (ended === null) return;
    const batch = this.#flights.get(ended.ticket)!;
    const { endedMs } = ended;
    this.#flights.delete(ended.ticket);
    this.#lane.finish(batch, 'success', endedMs);
    this.#inSystem -= batch.members.length;
    for (const request of batch.members) {
      const latencyMs = endedMs - request.arrivedMs;
      this.#latenciesMs[request.index] = latencyMs;
      this.#sumMs += latencyMs;
      this.#watcher?.settled(request, batch, endedMs);
    }
    this.#watcher?.ended(batch, endedMs);
  }

  /** Lets the lane act until it waits. */
  #drive(): void {
    this.#watcher?.look(this.#nowMs);
    this.#turnSwitch();
    for (;;) {
      const step = this.#lane.next(this.#nowMs);
      switch (step.kind) {
        case 'dispatch':
          this.#flights.set(this.#engine.start(step.batch.items, this.#nowMs), step.batch);
          this.#batches++;
          this.#watcher?.started(this.#nowMs);
          break;
        case 'expired':
          throw new MorphlingError('INTERNAL', 'a request without a deadline expired');
        case 'wait':
          this.#wakeMs = step.untilMs;
          return;
        case 'idle':
          this.#wakeMs = Infinity;
          return;
        default:
          step satisfies never;
      }
    }
  }

  #wantsSwitch(): boolean {
    const { alternative } = this.#cell;
    return alternative !== null && this.#version().settings.switches[alternative.switchName] === true;
  }

  #turnSwitch(): void {
    const { alternative, curve } = this.#cell;
    if (alternative === null || this.#wantsSwitch() === this.#isSwitchOn) return;
    this.#isSwitchOn = !this.#isSwitchOn;
    this.#engine.switchCurve(this.#isSwitchOn ? alternative.curve : curve, this.#nowMs, alternative.stallMs);
  }
}
