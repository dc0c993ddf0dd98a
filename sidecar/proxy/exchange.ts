// One request from its first byte to its one ending: what the layers know of it, and who must be told when it ends.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../src/core/clock.ts';
import type { CompletionSink, Ending, Outcome } from '../../src/core/completion.ts';
import type { Codec, ParsedRequest, Route } from '../../src/wire/codec.ts';
import type { BodyBudget } from './body.ts';
import type { RequestHeaders } from './headers.ts';
import { isAtLeast, type Pressure } from './pressure.ts';
import type { Waiting } from './waiting.ts';

/** Where an exchange stands; `settled` is final and reached exactly once. */
export type Stage = 'reading' | 'waiting' | 'sent' | 'settled';

/** A caller who left: whoever holds the exchange at that moment takes it back. */
export type LeaveHandler = (exchange: Exchange) => void;

/** What holds for every exchange at this moment; one object, turned by the stack. */
export interface Mood {
  /** The agent is stopping: every answer closes its connection. */
  isDraining: boolean;
  /** Pass-through: no batching, no limits. */
  isBypassed: boolean;
  /** Memory runs out. */
  pressure: Pressure;
}

export interface ExchangeOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: Route;
  readonly headers: RequestHeaders;
  /** Label of the model in every report; null: not reported (health, metadata). */
  readonly label: string | null;
  readonly clock: Clock;
  readonly sink: CompletionSink;
  readonly budget: BodyBudget;
  readonly mood: Mood;
}

const NO_BODY = Buffer.alloc(0);

/** The proxy's `Waiting`. Written by the layers in their order, read by all after them. */
export class Exchange implements Waiting {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: Route;
  readonly headers: RequestHeaders;
  /** Known late where the body names the model. */
  label: string | null;
  readonly arrivedMs: number;

  // Written by classify, before admission.
  key = '';
  items = 1;
  isBatchable = false;
  deadlineMs = Number.POSITIVE_INFINITY;
  priority = 1;
  /** The queue's own mark. */
  slot = -1;
  body: Buffer = NO_BODY;
  codec: Codec | null = null;
  parsed: ParsedRequest | null = null;

  // Written by the layers that send and answer.
  stage: Stage = 'reading';
  onLeave: LeaveHandler | null = null;
  sentMs: number | null = null;
  callStartedMs: number | null = null;
  firstByteMs: number | null = null;
  responseBytes = 0;
  requestBytes = 0;
  generation = 0;
  isBypassed = false;
  deadlineTimer: NodeJS.Timeout | null = null;

  readonly #clock: Clock;
  readonly #sink: CompletionSink;
  readonly #budget: BodyBudget;
  readonly #mood: Mood;

  constructor(options: ExchangeOptions) {
    this.request = options.request;
    this.response = options.response;
    this.route = options.route;
    this.headers = options.headers;
    this.label = options.label;
    this.#clock = options.clock;
    this.#sink = options.sink;
    this.#budget = options.budget;
    this.#mood = options.mood;
    this.arrivedMs = options.clock.nowMs();
  }

  get isSettled(): boolean {
    return this.stage === 'settled';
  }

  /** The connection ends with this answer: the agent stops or runs out of memory, or part of the request stays unread. */
  get isLast(): boolean {
    return this.#mood.isDraining || isAtLeast(this.#mood.pressure, 'closing') || !this.request.complete;
  }

  /** Takes the collected body; its bytes are given back to the budget when the exchange ends. */
  setBody(body: Buffer): void {
    this.body = body;
    this.requestBytes = body.length;
  }

  /** The request counts as arrived for its model: once, when it is understood. */
  reportArrival(): void {
    if (this.label !== null) this.#sink.arrived(this.label, this.items, this.requestBytes, this.arrivedMs);
  }

  /** Notes when the first byte of the answer came. */
  markFirstByte(): void {
    this.firstByteMs ??= this.#clock.nowMs() - this.arrivedMs;
  }

  /** Ends the exchange: the first call counts, later ones do nothing. True when it was the first. */
  settle(code: number, outcome: Outcome, ending: Ending): boolean {
    if (this.stage === 'settled') return false;
    this.stage = 'settled';
    this.onLeave = null;
    if (this.deadlineTimer !== null) clearTimeout(this.deadlineTimer);
    this.#budget.usedBytes -= this.body.length;
    if (this.label === null) return true;
    const endedMs = this.#clock.nowMs();
    this.#sink.completed({
      model: this.label,
      protocol: this.route.protocol,
      code,
      outcome: this.isBypassed && (outcome === 'ok' || outcome === 'bad_request') ? 'bypass' : outcome,
      ending,
      arrivedMs: this.arrivedMs,
      endedMs,
      queueMs: (this.sentMs ?? endedMs) - this.arrivedMs,
      upstreamMs: this.callStartedMs === null ? null : endedMs - this.callStartedMs,
      firstByteMs: this.firstByteMs,
      items: this.items,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      generation: this.generation,
    });
    return true;
  }
}

/** What an answer of the model server teaches, by its status. */
export function toVerdict(status: number): { readonly outcome: Outcome; readonly ending: Ending } {
  if (status < 400) return SUCCESS;
  // Too many requests is the engine's overload, not the caller's mistake.
  if (status < 500 && status !== 429) return WRONG;
  return FAILURE;
}

const SUCCESS = { outcome: 'ok', ending: 'success' } as const;
const WRONG = { outcome: 'bad_request', ending: 'ignored' } as const;
const FAILURE = { outcome: 'upstream_error', ending: 'dropped' } as const;
