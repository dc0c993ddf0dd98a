// A toy load balancer: round robin over its backends with kept connections, no retries, so that every fault is seen.
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Balancer {
  readonly port: number;
  add(backendPort: number): void;
  /** From now on nothing new is sent there; what is under way goes on. */
  remove(backendPort: number): void;
  close(): Promise<void>;
}

export async function startBalancer(): Promise<Balancer> {
  const backends: number[] = [];
  const keepAlive = new Agent({ keepAlive: true, maxSockets: Infinity });
  let turn = 0;
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const port = backends[turn++ % backends.length];
    if (port === undefined) return void outgoing.writeHead(599, { 'x-balancer': 'no backend' }).end();
    const { method, url, headers } = incoming;
    const call = request({ host: '127.0.0.1', port, method, path: url, headers, agent: keepAlive }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(outgoing);
      // A stream that is cut must be seen as cut.
      answer.on('error', () => outgoing.destroy());
      answer.on('aborted', () => outgoing.destroy());
    });
    call.on('error', () => {
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(599, { 'x-balancer': 'lost' }).end();
    });
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) call.destroy();
    });
    incoming.pipe(call);
  };
  const server = createServer({ keepAliveTimeout: 60_000 }, serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    add: (port) => void backends.push(port),
    remove(port) {
      const at = backends.indexOf(port);
      if (at !== -1) backends.splice(at, 1);
    },
    close: () =>
      new Promise((resolve) => {
        keepAlive.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
