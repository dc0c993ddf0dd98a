// Drives the lanes with real time: asks each what to do next, makes its calls, and keeps one timer a lane.
import type { Clock } from '../../src/core/clock.ts';
import type { CompletionSink, Ending } from '../../src/core/completion.ts';
import { toMessage } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';
import { StreamedAnswer, type CallEnd } from './answer.ts';
import type { Batchability } from './batchability.ts';
import { toVerdict, type Exchange } from './exchange.ts';
import type { Call, Upstream } from './forward.ts';
import { answerPart, answerShared, callJoined, type JoinedEnd } from './joined.ts';
import type { EngineGate } from './limit.ts';
import type { ModelLane, Models } from './models.ts';
import { respondFault } from './respond.ts';
import { toCallHeaders } from './trace.ts';
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
      exchange.callStartedMs = batch.startedMs;
      exchange.generation = batch.generation;
    }
    this.#options.sink.batchStarted?.(entry.label, batch.startedMs);
    const [first] = batch.members;
    if (batch.members.length === 1 && first !== undefined) this.#callAlone(entry, batch, first);
    else this.#callJoined(entry, batch);
  }

  #callAlone(entry: ModelLane, batch: Batch<Exchange>, exchange: Exchange): void {
    const { upstream, clock } = this.#options;
    const call = callAlone(upstream, exchange, clock.nowMs(), (ending) => this.#finish(entry, batch, ending));
    this.#watch([exchange], call);
  }

  #callJoined(entry: ModelLane, batch: Batch<Exchange>): void {
    const { upstream, answerBytesMax, log } = this.#options;
    const onFault = (error: unknown): void =>
      log.error('a codec failed', { model: entry.label, error: toMessage(error) });
    try {
      const end = (joined: JoinedEnd): void => this.#endJoined(entry, batch, joined);
      this.#watch(batch.members, callJoined(upstream, batch.members, answerBytesMax, onFault, end));
    } catch (error) {
      onFault(error);
      this.#resend(entry, batch, batch.members, 'its requests could not be joined');
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
      if (exchange.deadlineMs === Infinity) continue;
      exchange.deadlineTimer = setTimeout(() => {
        // An answer that has begun is let through: half of one would help nobody.
        if (exchange.response.headersSent) return;
        respondFault(exchange, { kind: 'deadline' });
        leave();
      }, exchange.deadlineMs - nowMs);
    }
  }

  #endJoined(entry: ModelLane, batch: Batch<Exchange>, end: JoinedEnd): void {
    const present = batch.members.filter((exchange) => !exchange.isSettled);
    switch (end.kind) {
      case 'split':
        batch.members.forEach((exchange, i) => {
          if (exchange.isSettled) return;
          answerPart(exchange, end.answer, end.payloads[i]!);
          exchange.settle(end.answer.head.status, 'ok', 'success');
        });
        return this.#finish(entry, batch, 'success');
      case 'shared': {
        const { status } = end.answer.head;
        const { outcome, ending } = toVerdict(status);
        for (const exchange of present) {
          answerShared(exchange, end.answer);
          exchange.settle(status, outcome, ending);
        }
        return this.#finish(entry, batch, ending);
      }
      case 'alone':
        return this.#resend(entry, batch, present, end.unbatchable);
      case 'failed':
        for (const exchange of present) respondFault(exchange, { kind: 'upstream', fault: end.fault });
        return this.#finish(entry, batch, end.fault === 'aborted' ? 'ignored' : 'dropped');
      default:
        return end satisfies never;
    }
  }

  #resend(entry: ModelLane, batch: Batch<Exchange>, present: readonly Exchange[], unbatchable: string | null): void {
    const { batchability, log, clock } = this.#options;
    const model = batch.members[0]?.route.model;
    if (unbatchable !== null && model !== null && model !== undefined) {
      batchability.markUnbatchable(model, unbatchable);
      log.warn('model is no longer batched', { model, reason: unbatchable });
    }
    const nowMs = clock.nowMs();
    // First the ending, then the members: a lane takes a member back only when its batch is over.
    this.#report(entry, batch, 'ignored');
    entry.lane.finish(batch, 'ignored', nowMs);
    for (const exchange of present) {
      if (exchange.deadlineTimer !== null) clearTimeout(exchange.deadlineTimer);
      exchange.deadlineTimer = null;
      this.#wait(entry, exchange);
      entry.lane.resend(exchange, nowMs);
    }
    this.pump(entry);
  }

  #finish(entry: ModelLane, batch: Batch<Exchange>, ending: Ending): void {
    this.#report(entry, batch, ending);
    entry.lane.finish(batch, ending, this.#options.clock.nowMs());
    this.pump(entry);
  }

  #report(entry: ModelLane, batch: Batch<Exchange>, ending: Ending): void {
    this.#options.sink.batchCompleted({
      model: entry.label,
      reason: batch.reason,
      ending,
      startedMs: batch.startedMs,
      durationMs: this.#options.clock.nowMs() - batch.startedMs,
      requests: batch.members.length,
      items: batch.items,
      inflight: batch.inflight,
      inflightAll: batch.inflightAll,
      generation: batch.generation,
    });
  }
}

/** One request as its own call, answered as the answer comes. `done` is called once, after the exchange is settled. */
export function callAlone(
  upstream: Upstream,
  exchange: Exchange,
  nowMs: number,
  done: (ending: Ending) => void,
  body: Parameters<Upstream['call']>[0]['body'] = exchange.body,
): Call {
  const receiver = new StreamedAnswer(exchange, (end) => done(endAlone(exchange, end)));
  const { request } = exchange;
  const call = upstream.call(
    { method: request.method ?? 'GET', path: request.url ?? '/', headers: toCallHeaders(exchange, nowMs), body },
    receiver,
  );
  receiver.attach(call);
  return call;
}

function endAlone(exchange: Exchange, end: CallEnd): Ending {
  if (end.kind === 'answered') {
    const { outcome, ending } = toVerdict(end.status);
    exchange.settle(end.status, outcome, ending);
    return ending;
  }
  respondFault(exchange, { kind: 'upstream', fault: end.fault });
  return end.fault === 'aborted' || end.fault === 'unsendable' ? 'ignored' : 'dropped';
}
