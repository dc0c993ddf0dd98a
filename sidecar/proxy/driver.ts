// Drives the lanes with real time: asks each what to do next, makes its calls, and keeps one timer a lane.
import type { Clock } from '../../src/core/clock.ts';
import type { CompletionSink, Ending } from '../../src/core/completion.ts';
import { toMessage } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';
import { callAlone } from './alone.ts';
import type { Batchability } from './batchability.ts';
import { toVerdict, type Exchange } from './exchange.ts';
import type { Call, Upstream } from './forward.ts';
import { toSmallerGroups } from './halves.ts';
import { answerPart, answerShared, callJoined, type JoinedEnd } from './joined.ts';
import type { EngineGate } from './limit.ts';
import type { ModelLane, Models } from './models.ts';
import { respondFault } from './respond.ts';
import type { Batch, Lane } from './waiting.ts';

export interface DriverOptions {
  readonly models: Models;
  readonly gate: EngineGate<Lane<Exchange>>;
  readonly upstream: Upstream;
  readonly batchability: Batchability;
  readonly clock: Clock;
  readonly sink: CompletionSink;
  readonly log: Logger;
  /** A joined answer larger than this ends in 502. */
  readonly answerBytesMax: number;
}

/** A batch in its place: what of it still has to be sent, first things first, one call at a time. */
interface Work {
  readonly batch: Batch<Exchange>;
  readonly groups: (readonly Exchange[])[];
  /** Calls made so far. */
  calls: number;
}

/** One call of a batch. */
interface Part {
  readonly entry: ModelLane;
  readonly work: Work;
  readonly members: readonly Exchange[];
  readonly startedMs: number;
}

/** Takes understood requests and brings each to its one ending. */
export class Driver {
  readonly #options: DriverOptions;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Admits the request to its model's lane, or answers it at once. */
  admit(entry: ModelLane, exchange: Exchange): void {
    if (this.#arrive(entry, exchange)) this.pump(entry);
  }

  /** Admits several that come at one instant: only then is the lane asked, so that they may leave together. */
  admitAll(entry: ModelLane, exchanges: readonly Exchange[]): void {
    for (const exchange of exchanges) this.#arrive(entry, exchange);
    this.pump(entry);
  }

  /** False: it was refused and has its answer. */
  #arrive(entry: ModelLane, exchange: Exchange): boolean {
    const verdict = entry.lane.arrive(exchange, this.#options.clock.nowMs());
    if (verdict.kind === 'shed') {
      if (verdict.reason === 'late') entry.lateSheds += 1;
      if (verdict.reason === 'draining') respondFault(exchange, { kind: 'draining' });
      else if (verdict.reason === 'expired') respondFault(exchange, { kind: 'deadline' });
      else respondFault(exchange, { kind: 'shed', reason: verdict.reason, retryAfterMs: verdict.retryAfterMs });
      return false;
    }
    this.#wait(entry, exchange);
    return true;
  }

  /** Asks the lane, then every lane for which a place of the engine became free. */
  pump(entry: ModelLane): void {
    for (let next: ModelLane | undefined = entry; next !== undefined;) {
      this.#drive(next);
      const lane = this.#options.gate.pick();
      next = lane === null ? undefined : this.#options.models.entryOf(lane);
    }
  }

  /** After a change that concerns all: settings, bypass, drain. */
  pumpAll(): void {
    for (const entry of this.#options.models.all()) this.pump(entry);
  }

  /** Nothing waits for company any more. */
  drain(): void {
    for (const entry of this.#options.models.all()) entry.lane.drain();
    this.pumpAll();
  }

  /** Stops the timers; nothing is dispatched by time any more. */
  stop(): void {
    for (const entry of this.#options.models.all()) {
      entry.lane.close();
      if (entry.timer !== null) clearTimeout(entry.timer);
      entry.timer = null;
    }
  }

  #wait(entry: ModelLane, exchange: Exchange): void {
    exchange.stage = 'waiting';
    exchange.onLeave = () => {
      entry.lane.cancel(exchange);
      this.pump(entry);
    };
  }

  #drive(entry: ModelLane): void {
    const { clock } = this.#options;
    for (;;) {
      const step = entry.lane.next(clock.nowMs());
      switch (step.kind) {
        case 'dispatch':
          this.#dispatch(entry, step.batch);
          break;
        case 'expired':
          for (const exchange of step.requests) respondFault(exchange, { kind: 'deadline' });
          break;
        case 'wait':
          this.#wakeAt(entry, step.untilMs);
          return;
        case 'idle':
          // A timer that is still set wakes once for nothing; cheaper than clearing one at every request.
          return;
        default:
          return step satisfies never;
      }
    }
  }

  #wakeAt(entry: ModelLane, untilMs: number): void {
    if (entry.timer !== null) {
      if (entry.wakeAtMs <= untilMs) return;
      clearTimeout(entry.timer);
    }
    entry.wakeAtMs = untilMs;
    // Node's timers count whole milliseconds and may fire a fraction early: the lane is then simply asked again.
    const delayMs = Math.min(Math.max(0, untilMs - this.#options.clock.nowMs()), 0x7fffffff);
    entry.timer = setTimeout(() => {
      entry.timer = null;
      entry.wakeAtMs = Infinity;
      this.pump(entry);
    }, delayMs);
  }

  #dispatch(entry: ModelLane, batch: Batch<Exchange>): void {
    for (const exchange of batch.members) {
      exchange.stage = 'sent';
      exchange.sentMs = batch.startedMs;
      exchange.generation = batch.generation;
    }
    this.#send({ entry, work: { batch, groups: [], calls: 0 }, members: batch.members, startedMs: batch.startedMs });
  }

  #send(part: Part): void {
    const { entry, work, members, startedMs } = part;
    const { upstream, sink } = this.#options;
    work.calls += 1;
    for (const exchange of members) exchange.callStartedMs = startedMs;
    sink.batchStarted?.(entry.label, startedMs);
    const [first] = members;
    if (members.length > 1 || first === undefined) this.#sendJoined(part);
    else
      this.#watch(
        members,
        callAlone(upstream, first, startedMs, (ending) => this.#ended(part, ending)),
      );
  }

  #sendJoined(part: Part): void {
    const { entry, members } = part;
    const { upstream, answerBytesMax, log } = this.#options;
    const onFault = (error: unknown): void =>
      log.error('a codec failed', { model: entry.label, error: toMessage(error) });
    const onEnd = (end: JoinedEnd): void => this.#endJoined(part, end);
    try {
      this.#watch(members, callJoined(upstream, members, answerBytesMax, onFault, onEnd));
    } catch (error) {
      onFault(error);
      this.#resend(part, 'its requests could not be joined');
    }
  }

  /** A call goes on as long as one member still waits for it. */
  #watch(members: readonly Exchange[], call: Call): void {
    const nowMs = this.#options.clock.nowMs();
    let present = 0;
    const leave = (): void => {
      present -= 1;
      if (present === 0) call.abort();
    };
    for (const exchange of members) {
      // The call may already have failed at once.
      if (exchange.isSettled) continue;
      present += 1;
      exchange.onLeave = leave;
      // One of an earlier call that this request was part of.
      if (exchange.deadlineTimer !== null) clearTimeout(exchange.deadlineTimer);
      if (exchange.deadlineMs === Infinity) continue;
      exchange.deadlineTimer = setTimeout(() => {
        // An answer that has begun is let through: half of one would help nobody.
        if (exchange.response.headersSent) return;
        respondFault(exchange, { kind: 'deadline' });
        leave();
      }, exchange.deadlineMs - nowMs);
    }
  }

  #endJoined(part: Part, end: JoinedEnd): void {
    const present = part.members.filter((exchange) => !exchange.isSettled);
    switch (end.kind) {
      case 'split':
        part.members.forEach((exchange, i) => {
          if (exchange.isSettled) return;
          answerPart(exchange, end.answer, end.payloads[i]!);
          exchange.settle(end.answer.head.status, 'ok', 'success');
        });
        return this.#ended(part, 'success');
      case 'shared': {
        const { status } = end.answer.head;
        const { outcome, ending } = toVerdict(status);
        for (const exchange of present) {
          answerShared(exchange, end.answer);
          exchange.settle(status, outcome, ending);
        }
        return this.#ended(part, ending);
      }
      case 'refused':
        part.work.groups.unshift(...toSmallerGroups(present));
        return this.#ended(part, 'ignored');
      case 'unbatchable':
        return this.#resend(part, end.reason);
      case 'failed':
        for (const exchange of present) respondFault(exchange, { kind: 'upstream', fault: end.fault });
        return this.#ended(part, end.fault === 'aborted' ? 'ignored' : 'dropped');
      default:
        return end satisfies never;
    }
  }

  /** What is left of the batch goes in the same place; when nothing is, the place is free. */
  #ended(part: Part, ending: Ending): void {
    const { entry, work } = part;
    this.#report(part, ending);
    for (let group = work.groups.shift(); group !== undefined; group = work.groups.shift()) {
      const members = group.filter((exchange) => !exchange.isSettled);
      if (members.length === 0) continue;
      this.#send({ entry, work, members, startedMs: this.#options.clock.nowMs() });
      return;
    }
    entry.lane.finish(work.batch, work.calls === 1 ? ending : 'ignored', this.#options.clock.nowMs());
    this.pump(entry);
  }

  /** No joined call will ever work: what is left of the batch goes back to its lane, each to be sent once alone. */
  #resend(part: Part, reason: string): void {
    const { batchability, log, clock } = this.#options;
    const { entry, work } = part;
    const model = part.members[0]?.route.model;
    if (model !== null && model !== undefined) {
      batchability.markUnbatchable(model, reason);
      log.warn('model is no longer batched', { model, reason });
    }
    const nowMs = clock.nowMs();
    // First the ending, then the members: a lane takes a member back only when its batch is over.
    this.#report(part, 'ignored');
    entry.lane.finish(work.batch, 'ignored', nowMs);
    for (const exchange of [...part.members, ...work.groups.flat()]) {
      if (exchange.isSettled) continue;
      if (exchange.deadlineTimer !== null) clearTimeout(exchange.deadlineTimer);
      exchange.deadlineTimer = null;
      this.#wait(entry, exchange);
      entry.lane.resend(exchange, nowMs);
    }
    this.pump(entry);
  }

  #report({ entry, work, members, startedMs }: Part, ending: Ending): void {
    const { batch, calls } = work;
    this.#options.sink.batchCompleted({
      model: entry.label,
      reason: calls > 1 && members.length === 1 ? 'single' : batch.reason,
      ending,
      startedMs,
      durationMs: this.#options.clock.nowMs() - startedMs,
      requests: members.length,
      items: calls === 1 ? batch.items : members.reduce((sum, { items }) => sum + items, 0),
      inflight: batch.inflight,
      inflightAll: batch.inflightAll,
      generation: batch.generation,
    });
  }
}
