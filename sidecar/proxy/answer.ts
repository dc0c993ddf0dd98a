// Who takes an answer: passed to one caller as it comes, or collected for many.
import type { Exchange } from './exchange.ts';
import type { AnswerHead, AnswerReceiver, Call, CallFault } from './forward.ts';

/** How a call ended, for whoever started it. */
export type CallEnd =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'failed'; readonly fault: CallFault };

/** Writes the answer to the caller as it comes, with back-pressure both ways. */
export class StreamedAnswer implements AnswerReceiver {
  readonly #exchange: Exchange;
  readonly #done: (end: CallEnd) => void;
  #call: Call | null = null;
  #status = 0;
  #isPaused = false;

  constructor(exchange: Exchange, done: (end: CallEnd) => void) {
    this.#exchange = exchange;
    this.#done = done;
  }

  /** The call whose answer this takes; set right after it is made. */
  attach(call: Call): void {
    this.#call = call;
  }

  head(head: AnswerHead): void {
    const { response } = this.#exchange;
    this.#exchange.markFirstByte();
    this.#status = head.status;
    const flat = [...head.forward];
    if (head.contentLength !== null) flat.push('content-length', head.contentLength);
    if (this.#exchange.isLast) response.shouldKeepAlive = false;
    response.sendDate = false;
    response.writeHead(head.status, head.statusText, flat);
    // Without a length it may be a stream of events, whose first may be long in coming.
    if (head.contentLength === null) response.flushHeaders();
  }

  data(chunk: Buffer): boolean {
    const { response } = this.#exchange;
    this.#exchange.responseBytes += chunk.length;
    if (response.write(chunk) || response.destroyed) return true;
    if (!this.#isPaused) {
      this.#isPaused = true;
      // A caller that leaves meanwhile never drains; its `close` aborts the call through the exchange.
      response.once('drain', () => {
        this.#isPaused = false;
        this.#call?.resume();
      });
    }
    return false;
  }

  ended(): void {
    this.#exchange.response.end();
    this.#done({ kind: 'answered', status: this.#status });
  }

  failed(fault: CallFault): void {
    this.#done({ kind: 'failed', fault });
  }
}

/** The whole answer to a joined call. */
export interface WholeAnswer {
  readonly head: AnswerHead;
  readonly body: Buffer;
}

/** Keeps the answer up to a bound; `done` is called once. */
export class CollectedAnswer implements AnswerReceiver {
  readonly #limitBytes: number;
  readonly #done: (end: WholeAnswer | CallFault | 'too-large') => void;
  #call: Call | null = null;
  #head: AnswerHead | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(limitBytes: number, done: (end: WholeAnswer | CallFault | 'too-large') => void) {
    this.#limitBytes = limitBytes;
    this.#done = done;
  }

  attach(call: Call): void {
    this.#call = call;
  }

  head(head: AnswerHead): void {
    this.#head = head;
  }

  data(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limitBytes) {
      this.#chunks = [];
      // Ends in `failed('aborted')`, which reads the byte count to say why.
      this.#call?.abort();
      return true;
    }
    this.#chunks.push(chunk);
    return true;
  }

  ended(): void {
    const [first] = this.#chunks;
    const body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#done(this.#head === null ? 'broken' : { head: this.#head, body });
  }

  failed(fault: CallFault): void {
    this.#done(this.#bytes > this.#limitBytes ? 'too-large' : fault);
  }
}
