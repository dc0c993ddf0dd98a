// The splice: bytes both ways, an end of one half only, bounded in number, nothing left behind.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createSplicer, type Splicer } from '../../../sidecar/supervise/splice.ts';
import { connectRaw } from '../../support/peers/raw-client.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

async function listen(onSocket: (socket: Socket) => void, options = {}): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, ...options }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function startSplice(
  onModel: (socket: Socket) => void,
  connectionsMax = 10,
): Promise<{ port: number; splicer: Splicer }> {
  const modelPort = await listen(onModel);
  const splicer = createSplicer({ upstream: `http://127.0.0.1:${modelPort}`, connectionsMax });
  const port = await listen((socket) => splicer.splice(socket), { pauseOnConnect: true });
  open.push(() => splicer.destroyAll());
  return { port, splicer };
}

test('what was written before the splice arrives, and answers come back', async () => {
  const { port } = await startSplice((socket) => socket.on('data', (bytes) => socket.write(`<${bytes.toString()}>`)));
  const client = await connectRaw(port);
  client.write('hello');
  await client.until(/^<hello>$/);
  client.write('again');
  await client.until(/^<hello><again>$/);
  client.destroy();
});

test('a caller may end its half and still get the whole answer', async () => {
  const { port, splicer } = await startSplice((socket) => {
    let received = 0;
    socket.on('data', (bytes: Buffer) => (received += bytes.length));
    socket.on('end', () => setTimeout(() => socket.end(`got ${received}`), 50));
  });
  const client = await connectRaw(port);
  client.socket.end(Buffer.alloc(3 << 20));
  expect(await client.closed()).toBe(`got ${3 << 20}`);
  await expect.poll(() => splicer.count).toBe(0);
});

test('a slow reader slows the writer instead of filling memory', async () => {
  let sent = 0;
  const { port } = await startSplice((socket) => {
    const block = Buffer.alloc(1 << 20);
    const more = (): void => {
      while (sent < 64 << 20) {
        sent += block.length;
        if (!socket.write(block)) return void socket.once('drain', more);
      }
      socket.end();
    };
    more();
  });
  const client = await connectRaw(port);
  client.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(sent).toBeLessThan(32 << 20);
  let received = 0;
  client.socket.on('data', (bytes: Buffer) => (received += bytes.length));
  client.socket.resume();
  await expect.poll(() => received, { timeout: 5000 }).toBe(64 << 20);
});

test('a side that is reset takes the other with it', async () => {
  const models: Socket[] = [];
  const { port, splicer } = await startSplice((socket) => models.push(socket.resume()));
  const first = await connectRaw(port);
  await expect.poll(() => models.length).toBe(1);
  first.socket.resetAndDestroy();
  await expect.poll(() => models[0]?.readableEnded || models[0]?.destroyed).toBe(true);
  const second = await connectRaw(port);
  await expect.poll(() => models.length).toBe(2);
  models[1]?.resetAndDestroy();
  await second.closed();
  await expect.poll(() => splicer.count).toBe(0);
});

test('no model server, or one caller too many, is a 503 that may be repeated', async () => {
  const { port, splicer } = await startSplice((socket) => socket.on('data', () => undefined), 1);
  const first = await connectRaw(port);
  await expect.poll(() => splicer.count).toBe(1);
  const second = await connectRaw(port);
  expect(await second.closed()).toMatch(/^HTTP\/1.1 503 [^]*Retry-After: 1[^]*\{"error":".*"\}\n$/);
  first.destroy();
  const dead = createSplicer({ upstream: 'http://127.0.0.1:1', connectionsMax: 10 });
  const deadPort = await listen((socket) => dead.splice(socket), { pauseOnConnect: true });
  const third = await connectRaw(deadPort);
  third.write('GET / HTTP/1.1\r\nHost: m\r\n\r\n');
  const answer = await third.closed();
  expect(answer).toMatch(/^HTTP\/1.1 503 /);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(Number(/Content-Length: (\d+)/.exec(head)?.[1])).toBe(body.length);
  await expect.poll(() => dead.count).toBe(0);
});
