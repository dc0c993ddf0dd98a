// One model's lane: admission, queue, batcher and limits joined into one synchronous state machine.
import { type BatchingRule, toBatchLimit } from '../../src/core/batching.ts';
import type { DepartureReason, Ending } from '../../src/core/completion.ts';
import type { Random } from '../../src/core/random.ts';
import type { SettingsVersion } from '../../src/core/settings.ts';
import { Admission, type Standing } from './admit.ts';
import { Batcher } from './batch.ts';
import type { EngineGate, Seat } from './limit.ts';
import { type EndedBatch, Pace } from './pace.ts';
import type { ShareLimit } from './share-limit.ts';
import type { Batch, Lane, Step, Verdict, Waiting } from './waiting.ts';

export interface LaneOptions<R extends Waiting> {
  readonly model: string;
  /** The cell. Read once per step, so once per batch; a change holds from the next step on. */
  readonly settings: () => SettingsVersion;
  /** The engine's own maximum of items in one call; Infinity while unknown. */
  readonly maxBatchSize: () => number;
  /** p99 target, ms; null while none is known. */
  readonly sla: () => number | null;
  /** Shared by all lanes of one engine. */
  readonly gate: EngineGate<Lane<R>>;
  /** Most requests that may wait, the hard bound behind the one in time. */
  readonly queueRequests: number;
  readonly random: Random;
  /** True: no admission, no batching, no delay, no limit. */
  readonly bypass?: () => boolean;
  /** What the coordinator granted; absent: nothing limits. */
  readonly share?: ShareLimit;
}

/** A lane for one model, empty and open. */
export function createLane<R extends Waiting>(options: LaneOptions<R>): Lane<R> {
  return new ModelLane(options);
}

const IDLE: Step<never> = Object.freeze({ kind: 'idle' });
const QUEUED: Verdict = Object.freeze({ kind: 'queued' });
/** Everything may leave at once and nothing fits together. */
const BYPASS_RULE: BatchingRule = Object.freeze({ limitItems: 0, delayMs: 0, isDraining: true });
/** A batch that waits for company leaves this many mean batch durations before the first deadline in it. */
const LEAD_DURATIONS = 2;

class ModelLane<R extends Waiting> implements Lane<R> {
  readonly #options: LaneOptions<R>;
  readonly #gate: EngineGate<Lane<R>>;
  readonly #seat: Seat<Lane<R>>;
  readonly #batcher = new Batcher<R>();
  readonly #pace = new Pace();
  readonly #admission: Admission;
  #version: SettingsVersion | null = null;
  #rule: BatchingRule = BYPASS_RULE;
  #isDraining = false;
  #isClosed = false;
  /** Calls in flight, oldest first. */
  #oldest: RunningBatch<R> | null = null;
  #newest: RunningBatch<R> | null = null;
  /** Since when there have been, without a break, calls in flight or a batch that found no place; null: not now. */
  #pressedMs: number | null = null;

  constructor(options: LaneOptions<R>) {
    this.#options = options;
    this.#gate = options.gate;
    this.#seat = options.gate.join(this);
    this.#admission = new Admission(this.#pace, options);
  }

  get queuedRequests(): number {
    return this.#batcher.requests;
  }

  get queuedItems(): number {
    return this.#batcher.items;
  }

  get inflight(): number {
    return this.#seat.inflight;
  }

  get oldestArrivedMs(): number | null {
    return this.#batcher.oldestArrivedMs;
  }

  arrive(request: R, nowMs: number): Verdict {
    if (this.#isClosed) return this.#admission.shed('draining', 0);
    if (!this.#isBypassed()) {
      const verdict = this.#admission.judge(request, this.#standingBefore(request, nowMs), nowMs);
      if (verdict.kind === 'shed') return verdict;
    }
    this.#batcher.add(request, nowMs);
    return QUEUED;
  }

  next(nowMs: number): Step<R> {
    const deadlineMs = this.#batcher.nextDeadlineMs;
    if (deadlineMs <= nowMs) {
      return { kind: 'expired', requests: this.#batcher.expire(nowMs) };
    }
    if (this.#batcher.requests === 0) return this.#rest(Infinity);
    const version = this.#options.settings();
    if (this.#isBypassed()) return this.#dispatchBypassed(version, nowMs);

    if (this.#seat.inflight >= Math.max(1, version.settings.concurrency)) return this.#rest(deadlineMs);
    const rule = this.#ruleOf(version);
    const { durationMs } = this.#pace;
    const leadMs = durationMs === null ? Infinity : LEAD_DURATIONS * durationMs;
    const queue = this.#batcher.ready(rule, leadMs, nowMs);
    if (queue === null) return this.#rest(Math.min(deadlineMs, this.#batcher.dueMs(rule, leadMs)));

    this.#pressedMs ??= nowMs;
    const openMs = this.#shareOpensMs(nowMs);
    if (openMs > nowMs) {
      this.#gate.forgo(this.#seat);
      return toWait(Math.min(deadlineMs, openMs));
    }
    if (!this.#gate.enter(this.#seat)) return toWait(deadlineMs);
    const { members, items, reason } = this.#batcher.take(queue, rule);
    return this.#start(members, items, reason, version, nowMs);
  }

  finish(batch: Batch<R>, ending: Ending, nowMs: number): void {
    const running = this.#running(batch);
    if (running === null) return;
    this.#unlink(running);
    this.#gate.leave(this.#seat);
    if (this.#seat.inflight === 0) this.#options.share?.setBusy(false, nowMs);
    this.#pace.finished(running, ending, this.#pressedMs ?? running.startedMs, nowMs);
    // What still waits is polled next and presses on from here if it finds no place.
    if (this.#seat.inflight === 0) this.#pressedMs = null;
  }

  cancel(request: R): boolean {
    return this.#batcher.remove(request);
  }

  resend(request: R, nowMs: number): void {
    this.#batcher.addAgain(request, nowMs);
  }

  drain(): void {
    this.#isDraining = true;
    this.#version = null;
  }

  close(): void {
    this.#isClosed = true;
  }

  #isBypassed(): boolean {
    return this.#options.bypass?.() ?? false;
  }

  #standingBefore(request: R, nowMs: number): Standing {
    const version = this.#options.settings();
    const { limitItems } = this.#ruleOf(version);
    const own = this.#batcher.queueOf(request);
    return {
      queuedRequests: this.#batcher.requests,
      aheadItems: this.#batcher.itemsAhead(request.priority),
      aheadKeys: this.#batcher.keysAhead(request, own, limitItems),
      oldestArrivedMs: own?.head?.request?.arrivedMs ?? null,
      hasFreePlace: this.#hasFreePlace(version, nowMs),
      oldestStartedMs: this.#oldest === null ? null : this.#oldest.startedMs,
      limitItems,
    };
  }

  #hasFreePlace(version: SettingsVersion, nowMs: number): boolean {
    return (
      this.#seat.inflight < Math.max(1, version.settings.concurrency) &&
      this.#gate.hasFreePlace &&
      this.#shareOpensMs(nowMs) <= nowMs
    );
  }

  /** When the coordinator's share lets the next call leave; Infinity: not before one ends. */
  #shareOpensMs(nowMs: number): number {
    const { share } = this.#options;
    if (share === undefined) return -Infinity;
    return this.#seat.inflight < share.concurrencyMaxAt(nowMs) ? share.openAtMs(nowMs) : Infinity;
  }

  /** The rule of one version of the settings, built once for it. */
  #ruleOf(version: SettingsVersion): BatchingRule {
    const limitItems = toBatchLimit(version.settings.batchSize, this.#options.maxBatchSize());
    if (version !== this.#version || limitItems !== this.#rule.limitItems) {
      this.#version = version;
      this.#rule = { limitItems, delayMs: version.settings.batchDelayMs, isDraining: this.#isDraining };
    }
    return this.#rule;
  }

  /** The lane wants no place now: a turn at the gate passes on. */
  #rest(untilMs: number): Step<R> {
    this.#gate.forgo(this.#seat);
    if (this.#seat.inflight === 0) this.#pressedMs = null;
    return toWait(untilMs);
  }

  #dispatchBypassed(version: SettingsVersion, nowMs: number): Step<R> {
    const queue = this.#batcher.ready(BYPASS_RULE, Infinity, nowMs);
    if (queue === null) return this.#rest(Infinity);
    this.#gate.forgo(this.#seat);
    this.#gate.force(this.#seat);
    const { members, items } = this.#batcher.take(queue, BYPASS_RULE);
    return this.#start(members, items, 'single', version, nowMs);
  }

  #start(members: R[], items: number, reason: DepartureReason, version: SettingsVersion, nowMs: number): Step<R> {
    this.#pressedMs ??= nowMs;
    const { inflight } = this.#seat;
    if (inflight === 1) this.#options.share?.setBusy(true, nowMs);
    const leftOthers = this.#batcher.requests > 0;
    if (leftOthers && (reason === 'full' || reason === 'single')) this.#pace.saturated(nowMs, reason === 'single');
    const isLimited = leftOthers || reason === 'full';
    const batch = new RunningBatch<R>(members, items, reason, nowMs, isLimited);
    batch.seat = this.#seat;
    batch.inflight = inflight;
    batch.inflightAll = this.#gate.inflight;
    batch.generation = version.generation;
    batch.previous = this.#newest;
    if (this.#newest === null) this.#oldest = batch;
    else this.#newest.next = batch;
    this.#newest = batch;
    return { kind: 'dispatch', batch };
  }

  /** The batch as `#start` made it; null when it has ended, or is another lane's. */
  #running(batch: Batch<R>): RunningBatch<R> | null {
    return batch instanceof RunningBatch && batch.seat === this.#seat ? batch : null;
  }

  #unlink(batch: RunningBatch<R>): void {
    batch.seat = null;
    if (batch.previous === null) this.#oldest = batch.next;
    else batch.previous.next = batch.next;
    if (batch.next === null) this.#newest = batch.previous;
    else batch.next.previous = batch.previous;
    // Who still holds an ended batch must not hold all that followed it.
    batch.previous = null;
    batch.next = null;
  }
}

function toWait(untilMs: number): Step<never> {
  return untilMs === Infinity ? IDLE : { kind: 'wait', untilMs };
}

/** A batch with its place in the list of those in flight. */
class RunningBatch<R extends Waiting> implements Batch<R>, EndedBatch {
  readonly members: readonly R[];
  readonly items: number;
  readonly reason: DepartureReason;
  readonly startedMs: number;
  readonly isLimited: boolean;
  inflight = 0;
  inflightAll = 0;
  generation = 0;
  /** The lane's account; null once the batch has ended. */
  seat: Seat<Lane<R>> | null = null;
  previous: RunningBatch<R> | null = null;
  next: RunningBatch<R> | null = null;

  constructor(members: readonly R[], items: number, reason: DepartureReason, startedMs: number, isLimited: boolean) {
    this.members = members;
    this.items = items;
    this.reason = reason;
    this.startedMs = startedMs;
    this.isLimited = isLimited;
  }

  get requests(): number {
    return this.members.length;
  }

  get isSingle(): boolean {
    return this.reason === 'single';
  }
}
