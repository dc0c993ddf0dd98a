// The circuit breaker before a single model server. There is nowhere else to send a caller, so it never stays open for
// a time of its own: it only spares callers the waiting while a probe of ours asks whether the server is back.
import { connect } from 'node:net';

/** As many refused connections one after the other, with none that was made in between: the server is down. */
const FAILURES_MAX = 5;
/** Between probes: every one late is a caller refused for nothing, and a refused connection costs 0.1 ms. */
const PROBE_MIN_MS = 50;
const PROBE_MAX_MS = 250;
const PROBE_TIMEOUT_MS = 1_000;

/** Resolves true when the server takes a connection. */
export type Probe = () => Promise<boolean>;

/** Told of every connection that was made or refused; told by its own probe when the server is back. */
export class Breaker {
  readonly #probe: Probe;
  readonly #onChange: (isOpen: boolean) => void;
  #failures = 0;
  #isOpen = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(probe: Probe, onChange: (isOpen: boolean) => void) {
    this.#probe = probe;
    this.#onChange = onChange;
  }

  /** Open: a call would only wait for its connection to be refused. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** A call got its connection. */
  connected(): void {
    this.#failures = 0;
    if (this.#isOpen) this.#close();
  }

  /** A call got none. */
  refused(): void {
    this.#failures += 1;
    if (this.#isOpen || this.#isStopped || this.#failures < FAILURES_MAX) return;
    this.#isOpen = true;
    this.#onChange(true);
    this.#ask(PROBE_MIN_MS);
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #ask(waitMs: number): void {
    this.#timer = setTimeout(() => void this.#probe().then((isThere) => this.#heard(isThere, waitMs)), waitMs);
    this.#timer.unref();
  }

  #heard(isThere: boolean, waitedMs: number): void {
    // A call that was on its way may have found the server first.
    if (!this.#isOpen || this.#isStopped) return;
    if (isThere) this.#close();
    else this.#ask(Math.min(PROBE_MAX_MS, 2 * waitedMs));
  }

  #close(): void {
    this.#isOpen = false;
    this.#failures = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#onChange(false);
  }
}

/** A TCP connection, made and given up: the server's log shows nothing of it, whatever protocol it speaks. */
export function createTcpProbe(origin: string): Probe {
  const url = new URL(origin);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return () =>
    new Promise((resolve) => {
      const socket = connect({ host, port, timeout: PROBE_TIMEOUT_MS });
      const end = (isThere: boolean): void => {
        resolve(isThere);
        socket.destroy();
      };
      socket.once('connect', () => end(true));
      socket.once('timeout', () => end(false));
      socket.once('error', () => end(false));
    });
}
