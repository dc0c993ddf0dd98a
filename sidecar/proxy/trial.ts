// The switchback: for slices of time ALL traffic of a model runs the candidate, for the others the settings in force.
import type { BatchCompletion, Completion } from '../../src/core/completion.ts';
import { LatencyTally } from '../../src/core/latency-tally.ts';
import type { Arm, Slice, SlicePlan, SlicePlayer } from '../../src/core/trial.ts';

/** One model's slices, back to back. A slice in which nobody tries anything is the baseline's, and is measured too. */
export function createSwitchback(startMs: number): SlicePlayer {
  return new Switchback(startMs);
}

/** While nothing is played: the shortest slice there is. */
const IDLE_PLAN: SlicePlan = { sliceMs: 1000, trimMs: 0, graceMs: 1000 };
/** Slices that wait for their last answers; more are closed as they are. */
const OPEN_MAX = 64;

/**
 * Why not a share of the requests: a tenth of the requests fills its batches ten times slower, so it measures another
 * system than the one that would be in force. In a slice of time the whole traffic meets the candidate, and one queue
 * and one concurrency limit are carried from slice to slice, as they will be.
 *
 * A seam is left for variants that have their own upstream (an engine switch on a second instance): there requests
 * must be split by hash, since both instances run all the time. That is another `SlicePlayer`, and not built.
 */
class Switchback implements SlicePlayer {
  #plan = IDLE_PLAN;
  #arms: Arm[] = [];
  #isPlaying = false;
  /** Oldest first; the last one is that of now. */
  readonly #open: OpenSlice[];
  #inflight = 0;
  #busyAtMs: number;

  constructor(startMs: number) {
    this.#open = [new OpenSlice('baseline', startMs, IDLE_PLAN)];
    this.#busyAtMs = startMs;
  }

  play(plan: SlicePlan, arms: readonly Arm[], nowMs: number): void {
    // First the cut: a slice that begins at this very instant must not take the first of the new arms.
    const current = this.#at(nowMs);
    this.#integrate(nowMs);
    current.cut(nowMs);
    this.#plan = plan;
    this.#arms = [...arms];
    this.#isPlaying = arms.length > 0;
  }

  stop(nowMs: number): void {
    this.play(this.#plan, [], nowMs);
  }

  armAt(nowMs: number): Arm {
    return this.#at(nowMs).arm;
  }

  nextChangeMs(): number {
    return this.#current.endMs;
  }

  peek(nowMs: number): Slice {
    const slice = this.#at(nowMs);
    this.#integrate(nowMs);
    return slice.read(nowMs);
  }

  take(nowMs: number): readonly Slice[] {
    this.#at(nowMs);
    this.#integrate(nowMs);
    const taken: Slice[] = [];
    for (let slice = this.#open[0]; slice !== undefined && this.#open.length > 1; slice = this.#open[0]) {
      const isOverdue = slice.isCut || nowMs >= slice.endMs + slice.graceMs || this.#open.length > OPEN_MAX;
      if (!isOverdue && slice.outstanding > 0) break;
      this.#open.shift();
      slice.giveUp(nowMs);
      if (this.#isPlaying || slice.arrivals > 0) taken.push(slice.read(slice.endMs));
    }
    return taken;
  }

  arrived(_model: string, items: number, _requestBytes: number, atMs: number): void {
    this.#of(atMs)?.arrived(items, atMs);
  }

  completed(completion: Completion): void {
    this.#of(completion.arrivedMs)?.completed(completion);
  }

  batchStarted(_model: string, atMs: number): void {
    const slice = this.#at(atMs);
    this.#integrate(atMs);
    this.#inflight += 1;
    slice.batchStarted();
  }

  batchCompleted({ startedMs, durationMs, reason, items, inflight }: BatchCompletion): void {
    this.#at(startedMs + durationMs);
    if (reason === 'full') this.#of(startedMs)?.batchWasFull(items * inflight, durationMs);
    this.#integrate(startedMs + durationMs);
    // An end whose start was before this object was made leaves the count at none, not below.
    this.#inflight = Math.max(0, this.#inflight - 1);
  }

  get #current(): OpenSlice {
    return this.#open.at(-1)!;
  }

  /** The slice of now, entered if its time has come. */
  #at(nowMs: number): OpenSlice {
    let current = this.#current;
    while (nowMs >= current.endMs) {
      this.#integrate(current.endMs);
      const arm = this.#arms.shift() ?? 'baseline';
      // After a long silence there is no use in playing every slice of it.
      const isFar = this.#arms.length === 0 && nowMs - current.endMs > 3 * this.#plan.sliceMs;
      const startMs = isFar ? nowMs : current.endMs;
      current = new OpenSlice(arm, startMs, this.#plan);
      this.#open.push(current);
      if (this.#open.length > 2 * OPEN_MAX) this.#open.shift();
    }
    return current;
  }

  /** The slice in which something arrived; null when it has been closed. */
  #of(atMs: number): OpenSlice | null {
    const current = this.#at(atMs);
    if (atMs >= current.startMs) return current;
    for (let index = this.#open.length - 2; index >= 0; index--) {
      const slice = this.#open[index]!;
      if (atMs >= slice.startMs) return atMs < slice.endMs ? slice : null;
    }
    return null;
  }

  #integrate(toMs: number): void {
    if (toMs <= this.#busyAtMs) return;
    if (this.#inflight > 0) for (const slice of this.#open) slice.busy(this.#busyAtMs, toMs);
    this.#busyAtMs = toMs;
  }
}

/** A slice that is being measured. */
class OpenSlice {
  readonly arm: Arm;
  readonly startMs: number;
  readonly graceMs: number;
  readonly #trimMs: number;
  readonly #latency = new LatencyTally();
  endMs: number;
  /** Arrivals of the measured part without an ending. */
  outstanding = 0;
  arrivals = 0;
  isCut = false;
  #batches = 0;
  #arrivedItems = 0;
  #fullItems = 0;
  #fullMs = 0;
  #answers = 0;
  #lost = 0;
  #busyMs = 0;

  constructor(arm: Arm, startMs: number, plan: SlicePlan) {
    this.arm = arm;
    this.startMs = startMs;
    this.endMs = startMs + plan.sliceMs;
    this.graceMs = plan.graceMs;
    this.#trimMs = plan.trimMs;
  }

  arrived(items: number, atMs: number): void {
    this.arrivals += 1;
    this.#arrivedItems += items;
    if (this.#isMeasured(atMs)) this.outstanding += 1;
  }

  completed({ arrivedMs, endedMs, ending, outcome }: Completion): void {
    if (!this.#isMeasured(arrivedMs) || outcome === 'bypass') return;
    this.outstanding -= 1;
    if (ending === 'ignored') return;
    this.#answers += 1;
    if (ending === 'dropped') {
      this.#lost += 1;
      return;
    }
    this.#latency.record(endedMs - arrivedMs);
  }

  batchStarted(): void {
    this.#batches += 1;
  }

  batchWasFull(items: number, durationMs: number): void {
    this.#fullItems += items;
    this.#fullMs += durationMs;
  }

  busy(fromMs: number, toMs: number): void {
    const from = Math.max(fromMs, this.startMs + this.#trimMs);
    const to = Math.min(toMs, this.endMs - this.#trimMs);
    if (to > from) this.#busyMs += to - from;
  }

  cut(nowMs: number): void {
    this.isCut = nowMs < this.endMs;
    this.endMs = Math.min(this.endMs, nowMs);
  }

  /** What is out is at least as old as this. */
  giveUp(nowMs: number): void {
    for (; this.outstanding > 0; this.outstanding--) {
      this.#answers += 1;
      this.#latency.record(nowMs - this.endMs + this.#trimMs);
    }
  }

  read(nowMs: number): Slice {
    const untilMs = Math.min(nowMs, this.endMs - this.#trimMs);
    return {
      arm: this.arm,
      startMs: this.startMs,
      durationMs: Math.min(nowMs, this.endMs) - this.startMs,
      measuredMs: Math.max(0, untilMs - this.startMs - this.#trimMs),
      arrivals: this.arrivals,
      answers: this.#answers,
      lost: this.#lost,
      batches: this.#batches,
      arrivedItems: this.#arrivedItems,
      full: { items: this.#fullItems, durationMs: this.#fullMs },
      busyMs: this.#busyMs,
      latency: this.#latency,
      isCut: this.isCut,
    };
  }

  #isMeasured(atMs: number): boolean {
    return atMs >= this.startMs + this.#trimMs && atMs < this.endMs - this.#trimMs;
  }
}
