// Binds an app to a port with limits that no client can stretch.
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { Address } from '../../src/core/agent-config.ts';
import { MorphlingError, toMessage } from '../../src/core/errors.ts';

export interface Listening {
  /** With the port that the system chose where 0 was asked for. */
  readonly address: Address;
  /** Ends every connection; resolves when the port is free. */
  close(): Promise<void>;
}

/** Any hono app: the control and the metrics app differ in what they are given, not in how they listen. */
interface Fetcher {
  readonly fetch: (request: Request, ...more: never[]) => Response | Promise<Response>;
}

const LIMITS = {
  maxHeaderSize: 16_384,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};
const MAX_CONNECTIONS = 128;

/** Throws UNREACHABLE when the port cannot be bound. */
export async function listen(app: Fetcher, { host, port }: Address): Promise<Listening> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- without options for TLS it is a plain HTTP server
  const server = createAdaptorServer({ fetch: app.fetch as never, serverOptions: LIMITS }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new MorphlingError('UNREACHABLE', `cannot listen on ${host} port ${port}: ${toMessage(cause)}`, { cause }),
      );
    });
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: { host, port: boundPort },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
