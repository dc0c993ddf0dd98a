// The caller's side of the socket: Node's strict HTTP server with every bound set, and the answers it gives by itself.
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { HEADERS_MAX } from './framing.ts';
import type { Proxy } from './stack.ts';
import { toRawRefusal } from './respond.ts';

/** Header block as Node's and nginx's default; slow headers are an attack, slow bodies may be a slow link. */
const HEADER_BYTES_MAX = 16_384;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 300_000;
/** Longer than the idle time of clients and balancers, so that they close first (60 s is common). */
const KEEP_ALIVE_MS = 75_000;
const CHECK_INTERVAL_MS = 5_000;
/** A connection is renewed now and then, so that a balancer can spread its clients anew. */
const REQUESTS_PER_SOCKET_MAX = 10_000;

export interface DataServer {
  readonly http: Server;
  /** Takes a connection that somebody else accepted. */
  take(socket: Socket): void;
  /** Closes connections on which nothing is under way. */
  closeIdle(): void;
  readonly connections: number;
}

/** A server that is not listening: call `http.listen`, or hand it sockets through `take`. */
export function createDataServer(proxy: Proxy, connectionsMax: number): DataServer {
  const open = new Set<Socket>();
  const http = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    // Ours to check: Node would answer by itself, and then serve what follows on the connection.
    requireHostHeader: false,
    insecureHTTPParser: false,
    joinDuplicateHeaders: false,
    noDelay: true,
  });
  // One more than we take, so that the framing law sees that there were too many.
  http.maxHeadersCount = HEADERS_MAX + 1;
  http.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;

  http.on('connection', (socket: Socket) => {
    if (open.size >= connectionsMax) {
      socket.end(toRawRefusal(503));
      socket.destroySoon();
      return;
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  http.on('request', (request, response) => proxy.handle(request, response));
  // The body is asked for only once the request has passed the framing law; the proxy's own refusal comes first.
  http.on('checkContinue', (request, response) => {
    proxy.handle(request, response);
    if (!response.headersSent && !response.writableEnded) response.writeContinue();
  });
  // CONNECT has its own event; TRACE and Upgrade come as requests and are refused there.
  http.on('connect', (_request, socket) => refuse(socket as Socket, 400));
  http.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(socket as Socket, toStatus(error)));
  // Node starts its check of slow connections when it listens; ours may never do so.
  http.emit('listening');

  return {
    http,
    take(socket) {
      socket.setNoDelay(true);
      http.emit('connection', socket);
    },
    closeIdle: () => http.closeIdleConnections(),
    get connections() {
      return open.size;
    },
  };
}

function toStatus(error: NodeJS.ErrnoException): 400 | 408 | 413 | 431 {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 431;
  if (error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413;
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  return 400;
}

/** The response that Node is writing or has still to write on a socket; its field, there since 0.1. */
interface HttpSocket extends Socket {
  readonly _httpMessage?: { readonly headersSent: boolean; readonly req?: { readonly complete: boolean } } | null;
}

/**
 * Answers bytes that are no request, then closes. Where a whole request before them still waits for its answer, the
 * connection is cut instead: what we would write here would look like that answer. Where the bad bytes belong to a
 * request that has been answered already, that answer is let out first.
 */
function refuse(socket: HttpSocket, status: 400 | 408 | 413 | 431): void {
  const message = socket._httpMessage;
  if (message?.req?.complete === true || !socket.writable || socket.destroyed) {
    socket.destroy();
    return;
  }
  if (message?.headersSent !== true) socket.end(toRawRefusal(status));
  // The peer may never close its half.
  socket.destroySoon();
}
