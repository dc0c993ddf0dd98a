// Server-sent events: everything as it happens, to a bounded number of clients that may be slow, hung or killed.
import type { ServerResponse } from 'node:http';
import type { StreamEvent } from '../../src/api/stream.ts';

export interface EventHubOptions {
  /** Clients at once; one more gets 503. Default 32. */
  readonly maxClients?: number;
  /** A client that has so much unread is cut off. Default 256 KiB. */
  readonly maxUnreadBytes?: number;
  /** A comment that keeps proxies from closing an idle stream. Default 15 s. */
  readonly heartbeatMs?: number;
  /** Events kept for clients that come back with `Last-Event-ID`. Default 64. */
  readonly replayed?: number;
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
} as const;

/**
 * Writes straight to the response: its `close` is the one event that every way of leaving ends in (end, reset, kill,
 * our own destroy), so a client is forgotten in one place. Each event is made text once, however many listen.
 */
export class EventHub {
  readonly #options: Required<EventHubOptions>;
  readonly #clients = new Set<ServerResponse>();
  #recent: { readonly id: number; readonly text: string }[] = [];
  #heartbeat: NodeJS.Timeout | null = null;
  #lastId = 0;

  constructor(options: EventHubOptions = {}) {
    this.#options = { maxClients: 32, maxUnreadBytes: 256 * 1024, heartbeatMs: 15_000, replayed: 64, ...options };
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** False when there is no room. `hello` is sent first, then what the client missed since `lastEventId`. */
  attach(response: ServerResponse, hello: StreamEvent, lastEventId: number | null): boolean {
    if (this.#clients.size >= this.#options.maxClients) return false;
    response.on('close', () => this.#forget(response));
    response.on('error', () => response.destroy());
    if (response.destroyed) return true; // it left before we got here, and `close` may be past
    this.#clients.add(response);
    response.writeHead(200, HEADERS);
    response.write(`retry: 2000\n\n${toText(this.#lastId, hello)}`);
    if (lastEventId !== null) for (const { id, text } of this.#recent) if (id > lastEventId) response.write(text);
    this.#heartbeat ??= setInterval(() => this.#broadcast(': beat\n\n'), this.#options.heartbeatMs).unref();
    return true;
  }

  publish(event: StreamEvent): void {
    this.#lastId++;
    // Nobody listens most of the time, but one who comes back wants what was missed.
    const text = toText(this.#lastId, event);
    this.#recent.push({ id: this.#lastId, text });
    if (this.#recent.length > this.#options.replayed) this.#recent.shift();
    this.#broadcast(text);
  }

  /** Ends every stream. */
  close(): void {
    for (const response of this.#clients) response.end();
    this.#recent = [];
  }

  #broadcast(text: string): void {
    for (const response of this.#clients) {
      if (response.writableLength > this.#options.maxUnreadBytes) response.destroy();
      else response.write(text);
    }
  }

  #forget(response: ServerResponse): void {
    this.#clients.delete(response);
    if (this.#clients.size > 0 || this.#heartbeat === null) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = null;
  }
}

/** JSON has no raw line break, so one `data:` line is enough. */
function toText(id: number, { event, data }: StreamEvent): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
