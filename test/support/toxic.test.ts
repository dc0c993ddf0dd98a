// The bad network itself: each toxic does what it says, and nothing else to the bytes.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient } from './peers/raw-client.ts';
import { startToxic, type Toxic, type ToxicProxy } from './toxic.ts';

let server: Server;
let sockets: Socket[];
let proxy: ToxicProxy;
let client: RawClient;

/** A peer that gives everything back, and ends when it reads `end`, resets when it reads `reset`. */
beforeEach(async () => {
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      if (text === 'end') socket.end('bye');
      else if (text === 'reset') socket.resetAndDestroy();
      else socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  client.destroy();
  await proxy.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

async function join(toxic: Toxic): Promise<void> {
  proxy = await startToxic((server.address() as AddressInfo).port, toxic);
  client = await connectRaw(proxy.port);
}

/** How long until `bytes` came back whole, ms. */
async function echoMs(bytes: string): Promise<number> {
  const before = client.received.length;
  const startMs = performance.now();
  client.write(bytes);
  await expect.poll(() => client.received.length - before, { timeout: 5000, interval: 2 }).toBe(bytes.length);
  expect(client.received.slice(before)).toBe(bytes);
  return performance.now() - startMs;
}

const pattern = (length: number): string =>
  Array.from({ length }, (_, i) => String.fromCharCode(33 + (i % 90))).join('');

describe('the toxic proxy', () => {
  test('is a good network by default', async () => {
    await join({});
    expect(await echoMs(pattern(100_000))).toBeLessThan(1000);
    client.write('end');
    expect(await client.closed()).toMatch(/bye$/);
  });

  test('is late both ways', async () => {
    await join({ latencyMs: 60 });
    expect(await echoMs('hello')).toBeGreaterThanOrEqual(115);
  });

  test('keeps the order under jitter', async () => {
    await join({ jitterMs: 30, sliceBytes: 50 });
    await echoMs(pattern(2_000));
  });

  test('is narrow', async () => {
    await join({ bytesPerS: 64_000 });
    const ms = await echoMs(pattern(16_000));
    expect(ms).toBeGreaterThanOrEqual(240);
    expect(ms).toBeLessThan(1500);
  });

  test('cuts into slices and loses none', async () => {
    await join({ sliceBytes: 7 });
    let pieces = 0;
    client.socket.on('data', () => (pieces += 1));
    await echoMs(pattern(700));
    expect(pieces).toBeGreaterThan(1);
  });

  test('resets after so many bytes', async () => {
    await join({ resetAfterBytes: 10 });
    let error = '';
    client.socket.on('error', ({ message }) => (error = message));
    client.write(pattern(100));
    expect((await client.closed()).length).toBeLessThanOrEqual(10);
    expect(error).toMatch(/ECONNRESET/);
  });

  test('brings nothing back, not even the end, when the peer has vanished', async () => {
    await join({ drops: 'answers' });
    client.write('hello');
    await expect.poll(() => sockets.length).toBe(1);
    await expect.poll(() => sockets[0]?.bytesRead).toBe(5);
    client.write('end');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([client.received, client.isClosed]).toEqual(['', false]);
  });

  test('is a black hole', async () => {
    await join({ drops: 'all' });
    client.write('hello');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([sockets[0]?.bytesRead, client.received, client.isClosed]).toEqual([0, '', false]);
  });

  test('closes slowly', async () => {
    await join({ slowCloseMs: 150 });
    const startMs = performance.now();
    client.write('end');
    await client.until(/bye/);
    expect(performance.now() - startMs).toBeLessThan(140);
    await client.closed();
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(145);
  });

  test('passes a reset on', async () => {
    await join({});
    let error = '';
    client.socket.on('error', ({ message }) => (error = message));
    client.write('reset');
    await client.closed();
    expect(error).toMatch(/ECONNRESET/);
  });

  test('changes while connections are open', async () => {
    await join({ latencyMs: 50 });
    expect(await echoMs('one')).toBeGreaterThan(95);
    proxy.toxic = {};
    expect(await echoMs('two')).toBeLessThan(45);
    expect(proxy.connections).toBe(1);
  });
});
