// The load generator: what it says of latency must be true where a server stalls, or every figure after it is wrong.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { titled } from '../skip.ts';
import { toGoTools } from './go-tools.ts';
import { runLoad, toRequest, type LoadOptions, type LoadResult } from './load.ts';
import { ensureTool, runToEnd } from './tools.ts';

const tools = await ensureTool(toGoTools(), () => undefined);
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(handle: Parameters<typeof createServer>[1]): Promise<number> {
  const server = createServer({ keepAliveTimeout: 30_000 }, handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function load(port: number, change: Partial<LoadOptions> = {}): Promise<LoadResult> {
  if (tools.kind !== 'ready') throw new Error(tools.reason);
  const request = toRequest('/x', Buffer.from('hello'));
  return runLoad(tools, { port, request, connections: 4, ratePerS: 200, durationS: 0.5, ...change });
}

describe.skipIf(tools.kind === 'missing')(titled('the load generator', tools), () => {
  test('sends each request whole and once, and as many as the rate says', async () => {
    const bodies: string[] = [];
    const port = await serve((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        bodies.push(body);
        response.end('ok');
      });
    });
    const result = await load(port);
    expect(result).toMatchObject({ sent: 100, answered: 100, failed: 0, statuses: { '200': 100 }, bodyBytes: 200 });
    expect(bodies).toEqual(Array(100).fill('hello'));
  });

  test('counts a stall against every request that was due in it', async () => {
    let isStalled = false;
    const waiting: (() => void)[] = [];
    const port = await serve((request, response) => {
      request.resume();
      if (isStalled) waiting.push(() => response.end());
      else response.end();
    });
    setTimeout(() => (isStalled = true), 100);
    setTimeout(() => {
      isStalled = false;
      for (const answer of waiting.splice(0)) answer();
    }, 500);
    // A closed loop would have sent 4 requests into the stall and called the rest fast: here 40 % of all saw it.
    const result = await load(port, { durationS: 1 });
    expect(result.answered).toBe(200);
    expect(result.delayed).toBeGreaterThan(50);
    expect(result.latency.p90Ms).toBeGreaterThan(100);
    expect(result.latency.maxMs).toBeGreaterThan(350);
  });

  test('reads chunked answers, interim ones, and connections that close after an answer', async () => {
    let count = 0;
    const port = await serve((request, response) => {
      request.resume();
      count += 1;
      if (count % 3 === 0) response.setHeader('connection', 'close');
      if (count % 2 === 0) response.writeProcessing();
      response.write('ab');
      response.end('c');
    });
    const result = await load(port, { ratePerS: 100 });
    expect(result).toMatchObject({ sent: 50, answered: 50, failed: 0, bodyBytes: 150 });
    expect(result.reconnects).toBe(16);
  });

  test('a lost answer is a failure, not a latency', async () => {
    const port = await serve((request) => request.socket.destroy());
    const result = await load(port, { ratePerS: 40 });
    expect(result).toMatchObject({ sent: 20, answered: 0, failed: 20, statuses: {} });
  });

  test('refuses everything but loopback', async () => {
    await expect(load(0)).rejects.toThrow();
    if (tools.kind !== 'ready') return;
    await expect(
      runToEnd(`${tools.folder}/load`, ['-target', '192.0.2.1:80', '-request', '/dev/null']),
    ).rejects.toThrow(/loopback/);
  });
});
