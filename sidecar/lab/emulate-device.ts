// The modelled engine in real time: batches go in, callbacks come out when the model says so.
import { monotonicClock, type Clock } from '../../src/core/clock.ts';
import { Engine, type EngineOptions } from './engine.ts';
import type { LatencyCurve } from './profiles.ts';

/** How a batch went. */
export interface ServedBatch {
  readonly items: number;
  /** What the model said it takes, other batches' interference included. */
  readonly modelledMs: number;
  /** How much later than the model's end the callback came: the timer's error, >= 0. */
  readonly lateMs: number;
}

/** Running totals since the start; all times in ms. */
export interface DeviceTotals {
  readonly batches: number;
  readonly items: number;
  readonly busyMs: number;
  readonly modelledMs: number;
  readonly lateMs: number;
  readonly maxLateMs: number;
}

/** Timers fire up to a millisecond late, so the last stretch is polled instead; 1.5 ms covers what was seen. */
const POLL_MS = 1.5;
/** nvidia-smi's utilisation is the share of its last sample period; boards use 1/6 s to 1 s. */
const UTILISATION_WINDOW_MS = 1000;
const MARK_EVERY_MS = 100;

/** One device shared by all batches given to it. The only timer of the emulator; it keeps no process alive when idle. */
export class EmulatedDevice {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (batch: ServedBatch) => void>();
  readonly #totals = { batches: 0, items: 0, modelledMs: 0, lateMs: 0, maxLateMs: 0 };
  /** [at, busyMs] every 100 ms of the last second, oldest first. */
  readonly #marks: { readonly atMs: number; readonly busyMs: number }[] = [];
  #runningItems = 0;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: EngineOptions, clock: Clock = monotonicClock) {
    this.#engine = new Engine(options);
    this.#clock = clock;
    this.#mark(clock.nowMs());
  }

  /** Starts a batch now, whatever else runs; `done` is called once, at the modelled end or a hair later. */
  run(items: number, done: (batch: ServedBatch) => void): void {
    const nowMs = this.#settle();
    this.#waiting.set(this.#engine.start(items, nowMs), done);
    this.#runningItems += items;
    this.#arm();
  }

  /** Items of the batches running now. */
  get runningItems(): number {
    return this.#runningItems;
  }

  get runningBatches(): number {
    return this.#waiting.size;
  }

  totals(): DeviceTotals {
    this.#settle();
    return { ...this.#totals, busyMs: this.#engine.busyMs };
  }

  /** Share of about the last second in which a batch ran, 0..1: what nvidia-smi calls utilisation. */
  utilizationRatio(): number {
    const nowMs = this.#settle();
    const first = this.#marks[0];
    if (first === undefined || nowMs <= first.atMs) return 0;
    return Math.min(1, Math.max(0, (this.#engine.busyMs - first.busyMs) / (nowMs - first.atMs)));
  }

  /** Another curve from now on; nothing advances for `stallMs`. */
  switchCurve(curve: LatencyCurve, stallMs: number): void {
    this.#engine.switchCurve(curve, this.#settle(), stallMs);
    this.#arm();
  }

  /** Forgets what runs without answering it. */
  close(): void {
    this.#disarm();
    this.#waiting.clear();
  }

  /** Answers everything that is due and brings the engine's clock to now. */
  #settle(): number {
    const nowMs = this.#clock.nowMs();
    for (let ended = this.#engine.end(nowMs); ended !== null; ended = this.#engine.end(nowMs)) {
      const done = this.#waiting.get(ended.ticket);
      this.#waiting.delete(ended.ticket);
      this.#runningItems -= ended.items;
      const batch = {
        items: ended.items,
        modelledMs: ended.endedMs - ended.startedMs,
        lateMs: Math.max(0, nowMs - ended.endedMs),
      };
      this.#totals.batches++;
      this.#totals.items += batch.items;
      this.#totals.modelledMs += batch.modelledMs;
      this.#totals.lateMs += batch.lateMs;
      this.#totals.maxLateMs = Math.max(this.#totals.maxLateMs, batch.lateMs);
      // Not called in place: an answer could start the next batch in the middle of this loop.
      if (done !== undefined) queueMicrotask(() => done(batch));
    }
    this.#mark(nowMs);
    return nowMs;
  }

  #mark(nowMs: number): void {
    const last = this.#marks.at(-1);
    if (last === undefined || nowMs - last.atMs >= MARK_EVERY_MS)
      this.#marks.push({ atMs: nowMs, busyMs: this.#engine.busyMs });
    // The newest mark that is a whole window old stays: it is where the window begins.
    while ((this.#marks[1]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs - UTILISATION_WINDOW_MS) this.#marks.shift();
  }

  #arm(): void {
    this.#disarm();
    if (this.#engine.running === 0) return;
    const waitMs = this.#engine.nextEndMs - this.#clock.nowMs();
    if (waitMs > POLL_MS) this.#timer = setTimeout(() => this.#wake(), Math.floor(waitMs - POLL_MS));
    else this.#immediate = setImmediate(() => this.#wake());
  }

  #wake(): void {
    this.#settle();
    this.#arm();
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }
}
