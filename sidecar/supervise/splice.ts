// TCP pass-through: what a caller gets while no data process is there to do better. Knows nothing of HTTP but one 503.
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface SplicerOptions {
  /** `http://127.0.0.1:8000`; https is spliced into TLS, since the caller speaks in the clear. */
  readonly upstream: string;
  /** Connections spliced at once; more are answered 503. */
  readonly connectionsMax: number;
}

export interface Splicer {
  /** Takes a paused socket from which nothing has been read. */
  splice(caller: Socket): void;
  readonly count: number;
  destroyAll(): void;
}

const CONNECT_TIMEOUT_MS = 1_000;
/** As long as the proxy lets an upstream be silent. */
const IDLE_TIMEOUT_MS = 300_000;
const UNAVAILABLE =
  'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 54\r\nRetry-After: 1\r\n' +
  'X-Morphling-Error: upstream\r\nConnection: close\r\n\r\n{"error":"the model server does not accept requests"}\n';

export function createSplicer({ upstream, connectionsMax }: SplicerOptions): Splicer {
  const url = new URL(upstream);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const open = new Set<Socket>();

  const connect = (): Socket =>
    isTls
      ? connectTls({ host, port, servername: host, ALPNProtocols: ['http/1.1'] })
      : connectTcp({ host, port, noDelay: true, allowHalfOpen: true });

  const splice = (caller: Socket): void => {
    caller.on('error', () => undefined);
    if (open.size >= connectionsMax) {
      refuse(caller);
      return;
    }
    open.add(caller);
    caller.once('close', () => open.delete(caller));
    const model = connect();
    let isConnected = false;
    model.setTimeout(CONNECT_TIMEOUT_MS, () => model.destroy(new Error('silent')));
    model.once(isTls ? 'secureConnect' : 'connect', () => {
      isConnected = true;
      model.setTimeout(IDLE_TIMEOUT_MS);
      // `pipe` carries back-pressure, and an end of one half as an end of that half only.
      caller.pipe(model);
      model.pipe(caller);
    });
    model.on('error', () => undefined);
    model.once('close', (hadError) => {
      if (!isConnected) refuse(caller);
      else if (hadError) caller.destroy();
      else caller.end();
    });
    caller.once('close', () => model.destroy());
  };

  return {
    splice,
    get count() {
      return open.size;
    },
    destroyAll() {
      for (const socket of open) socket.destroy();
    },
  };
}

function refuse(caller: Socket): void {
  caller.resume();
  caller.end(UNAVAILABLE);
  // The peer may never close its half.
  caller.setTimeout(CONNECT_TIMEOUT_MS, () => caller.destroy());
}
