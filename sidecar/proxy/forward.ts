// The only place that speaks to the model server. One call: one connection of the pool, one answer, one ending.
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Readable } from 'node:stream';
import { monotonicClock } from '../../src/core/clock.ts';
import { Breaker, createTcpProbe } from './breaker.ts';
import { readAnswerHeaders, type AnswerHeaders } from './headers.ts';
import { RetryBudget } from './retry-budget.ts';

/** One call as it is written; `headers` are flat pairs made by us, without framing. */
export interface CallRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer | Readable | null;
}

export type CallFault =
  /** no connection: nothing was sent */
  | 'unreachable'
  /** no first byte, or a silent body, for too long */
  | 'timeout'
  /** reset, truncated, not HTTP, or framing we do not pass on */
  | 'broken'
  /** our own `abort` */
  | 'aborted'
  /** the caller's request cannot be written as HTTP */
  | 'unsendable';

export interface AnswerHead extends AnswerHeaders {
  readonly status: number;
  readonly statusText: string;
}

/** Who takes the answer. Exactly one of `ended` and `failed` is called, once, last. */
export interface AnswerReceiver {
  head(head: AnswerHead): void;
  /** False: pause until `call.resume()`. */
  data(chunk: Buffer): boolean;
  ended(): void;
  failed(fault: CallFault): void;
}

/** A call under way. */
export interface Call {
  /** Frees the connection at once, also while paused or waiting for a connection. */
  abort(): void;
  resume(): void;
}

export interface Upstream {
  call(request: CallRequest, receiver: AnswerReceiver): Call;
  /** No connection can be had: calls fail at once until a probe finds the server again. */
  readonly isDown: boolean;
  /** Second tries so far, and those that the budget did not allow. */
  readonly retries: Readonly<Record<'made' | 'refused', number>>;
  /** Called at every change of `isDown`. */
  watch(listener: (isDown: boolean) => void): void;
  /** Ends all connections; calls under way fail. */
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** `http://127.0.0.1:8000` */
  readonly origin: string;
  /** No first byte, or no further byte, for so long: timeout. 0: never. */
  readonly timeoutMs: number;
}

const HEADER_BYTES_MAX = 16_384;
const CONNECT_TIMEOUT_MS = 1_000;
/** Below the idle timeouts of the model servers in use (uvicorn 5 s), so that we close first: else a call may meet a closing socket. */
const KEEP_ALIVE_MS = 4_000;
/** A connection refused by a full backlog is there again a moment later; a server that is down stays down. */
const RETRY_AFTER_MS = 20;
/** A server that reports progress each second may do so for a minute and a half. */
const INTERIMS_MAX = 100;
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

export function createUpstream({ origin, timeoutMs }: UpstreamOptions): Upstream {
  const pool = new Pool(origin, {
    // The limits above the pool bound calls in flight. A queue here would hide waiting from every measurement, and a
    // waiting call could not be aborted.
    connections: null,
    pipelining: 1,
    strictContentLength: true,
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: 600_000,
    allowH2: false,
  });
  const listeners: ((isDown: boolean) => void)[] = [];
  const breaker = new Breaker(createTcpProbe(origin), (isOpen) => {
    for (const listener of listeners) listener(isOpen);
  });
  const line: Line = {
    pool,
    breaker,
    budget: new RetryBudget(monotonicClock.nowMs()),
    retries: { made: 0, refused: 0 },
  };
  return {
    call(request, receiver) {
      const call = new PoolCall(line, request, receiver);
      call.start();
      return call;
    },
    get isDown() {
      return breaker.isOpen;
    },
    retries: line.retries,
    watch: (listener) => void listeners.push(listener),
    close() {
      breaker.stop();
      return pool.destroy();
    },
  };
}

/** What all calls to one server share. */
interface Line {
  readonly pool: Pool;
  readonly breaker: Breaker;
  readonly budget: RetryBudget;
  readonly retries: { made: number; refused: number };
}

/** undici's raw handler: no promise and no stream object between the socket and the receiver. */
class PoolCall implements Call, Dispatcher.DispatchHandler {
  readonly #line: Line;
  readonly #request: CallRequest;
  readonly #receiver: AnswerReceiver;
  #controller: Dispatcher.DispatchController | null = null;
  #fault: CallFault | null = null;
  #isDone = false;
  #hasRetried = false;
  #interims = 0;

  constructor(line: Line, request: CallRequest, receiver: AnswerReceiver) {
    this.#line = line;
    this.#request = request;
    this.#receiver = receiver;
  }

  start(): void {
    if (this.#line.breaker.isOpen) {
      // Not within `call`: whoever waits in a long queue would be failed by a recursion as deep as the queue is long.
      setImmediate(() => this.#fail('unreachable'));
      return;
    }
    this.#line.budget.called();
    this.#dispatch();
  }

  #dispatch(): void {
    const { method, path, headers, body } = this.#request;
    // undici copies the list, it never writes to it.
    this.#line.pool.dispatch({ method, path, headers: headers as string[], body }, this);
  }

  abort(): void {
    this.#fail('aborted');
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#line.breaker.connected();
    // Aborted while it waited for its connection: the connection is new and unused, and is given up.
    if (this.#isDone) controller.abort(new Error('aborted'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText: string = '',
  ): void {
    if (this.#isDone) return;
    // 1xx stays on its own hop: nobody behind us asked for it. Each restarts undici's timeout, so they are counted.
    if (status < 200) {
      this.#interims += 1;
      if (this.#interims > INTERIMS_MAX) this.#fail('broken');
      return;
    }
    const headers = readAnswerHeaders((controller.rawHeaders ?? []) as (Buffer | string)[]);
    // Node refuses to write such a reason, in the middle of the answer; undici lets a null pass.
    if (!headers.isSound || !REASON.test(statusText)) this.#fail('broken');
    else this.#receiver.head({ status, statusText, ...headers });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isDone && !this.#receiver.data(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    try {
      this.#receiver.ended();
    } catch (error) {
      // undici would swallow it, and the place of this call would be lost for good. A fault of our own ends the
      // process instead: the supervisor has another within a second.
      setImmediate(() => {
        throw error;
      });
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#isDone) return;
    // No onRequestStart: not one byte was written, so sending it again cannot run it twice.
    const wasSent = this.#controller !== null;
    const fault = this.#fault ?? toFault(error, wasSent);
    if (fault === 'unreachable') {
      this.#line.breaker.refused();
      if (this.#mayRetry()) {
        this.#hasRetried = true;
        setTimeout(() => {
          if (!this.#isDone) this.#dispatch();
        }, RETRY_AFTER_MS);
        return;
      }
    }
    this.#isDone = true;
    this.#receiver.failed(fault);
  }

  /** Once, while the server is not known to be down, and as far as the budget goes. A body that was read is gone. */
  #mayRetry(): boolean {
    const { breaker, budget, retries } = this.#line;
    if (this.#hasRetried || breaker.isOpen || (this.#request.body as Readable | null)?.readable) return false;
    const isPaid = budget.take(monotonicClock.nowMs());
    retries[isPaid ? 'made' : 'refused'] += 1;
    return isPaid;
  }

  #fail(fault: CallFault): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#fault = fault;
    this.#controller?.abort(new Error(fault));
    this.#receiver.failed(fault);
  }
}

function toFault(error: Error, wasSent: boolean): CallFault {
  const code = (error as { code?: string }).code ?? '';
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return 'unsendable';
  if (!wasSent) return 'unreachable';
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' ? 'timeout' : 'broken';
}
