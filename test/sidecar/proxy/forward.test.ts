// A model server that misbehaves in every way: its callers get 502, 503, 504 or a clean cut, never another caller's
// bytes, and its connection is never used again.
import { afterEach, describe, expect, test } from 'vitest';
import type { AgentConfig } from '../../../src/core/agent-config.ts';
import { connectRaw } from '../../support/peers/raw-client.ts';
import { startProxyBench, toTestConfig, type ProxyBench } from '../../support/peers/proxy-bench.ts';
import { startRawUpstream, toAnswer, type RawUpstream, type SeenRequest } from '../../support/peers/raw-upstream.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

async function start(
  answer: (request: SeenRequest) => void,
  change: Partial<AgentConfig> = {},
): Promise<{ upstream: RawUpstream; bench: ProxyBench }> {
  const upstream = await startRawUpstream(answer);
  const bench = await startProxyBench(upstream.origin, change);
  open.push(upstream, bench);
  return { upstream, bench };
}

const GET = 'GET /thing HTTP/1.1\r\nHost: m\r\n\r\n';
const PREDICT = toPost('/v1/models/m:predict', '{"instances":[1]}');

function toPost(path: string, body: string, lines = ''): string {
  return `POST ${path} HTTP/1.1\r\nHost: m\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`;
}

async function ask(port: number, request: string): Promise<string> {
  const client = await connectRaw(port);
  client.write(request);
  const answer = await client.until(/^HTTP[^]*\r\n\r\n[^]*$/).catch(() => client.received);
  client.destroy();
  return answer;
}

/** [what, bytes of the answer, status that the caller sees] */
const FAULTS: readonly (readonly [string, string, number])[] = [
  ['nothing but an end', '', 502],
  ['garbage', 'hello\r\n\r\n', 502],
  ['another protocol', '\x16\x03\x01\x02\x00', 502],
  ['a status that is none', 'HTTP/1.1 2000 OK\r\n\r\n', 502],
  ['a head without an end', 'HTTP/1.1 200 OK\r\nX-A: b\r\n', 502],
  ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n', 502],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 502],
  [
    'a length beside chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
    502,
  ],
  ['gzip, chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 502],
  ['an unasked switch of protocols', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n', 502],
  ['a header block of 20 KiB', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(20_000)}\r\n\r\n`, 502],
];

describe.each([
  ['passed on', GET],
  ['queued', PREDICT],
])('a request that is %s', (_kind, request) => {
  test.each(FAULTS)('and answered with %s ends in %s', async (_what, bytes, status) => {
    let calls = 0;
    const { upstream, bench } = await start(({ socket }) => {
      calls += 1;
      if (calls > 1) socket.write(toAnswer('fine'));
      else socket.end(bytes, 'latin1');
    });
    const answer = await ask(bench.port, request);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('x-morphling-error: upstream');
    // Never sent a second time: the first may have run.
    expect(upstream.requests).toHaveLength(1);
    expect(await ask(bench.port, request)).toMatch(/^HTTP\/1.1 200 OK[^]*fine$/);
    expect(upstream.requests[1]?.connection).not.toBe(upstream.requests[0]?.connection);
  });

  test('and answered in part is cut, so that no part looks whole', async () => {
    for (const head of ['Content-Length: 10', 'Transfer-Encoding: chunked']) {
      const { bench } = await start(({ socket }) => socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n5\r\nhi`));
      const client = await connectRaw(bench.port);
      client.write(request);
      const received = await client.closed();
      expect(received).not.toMatch(/0\r\n\r\n$/);
      if (received !== '') expect(received).toMatch(/^HTTP\/1.1 200 /);
      await expect.poll(() => bench.proxy.openRequests).toBe(0);
    }
  });

  test('and met by a closed port ends in 503 that may be repeated', async () => {
    const { upstream, bench } = await start(() => undefined);
    await upstream.close();
    const answer = await ask(bench.port, request);
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    expect(answer).toMatch(/retry-after: 1/i);
    expect(answer).toContain('x-morphling-error: upstream');
  });

  test('and not answered in time ends in 504', async () => {
    const { upstream, bench } = await start(() => undefined, {
      limits: { ...toTestConfig('').limits, upstreamTimeoutMs: 300 },
    });
    const answer = await ask(bench.port, request);
    expect(answer).toMatch(/^HTTP\/1.1 504 [^]*x-morphling-error: timeout/);
    await expect.poll(() => upstream.sockets.size).toBe(0);
  });

  test('and answered after 1xx gets the final answer only', async () => {
    const { bench } = await start(({ socket }) =>
      socket.write(
        `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${toAnswer('done').toString()}`,
      ),
    );
    expect(await ask(bench.port, request)).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-length: 4[^]*done$/);
  });

  test('and answered twice leaves nothing for the next caller', async () => {
    let calls = 0;
    const { upstream, bench } = await start(({ socket }) => {
      calls += 1;
      socket.write(toAnswer(`answer ${calls}`));
      if (calls === 1) socket.write(toAnswer('poison'));
    });
    expect(await ask(bench.port, request)).toMatch(/answer 1$/);
    expect(await ask(bench.port, request)).toMatch(/answer 2$/);
    expect(upstream.requests[1]?.connection).not.toBe(upstream.requests[0]?.connection);
  });

  test("keeps the model server's own 429, 503 and headers, and is not repeated", async () => {
    for (const status of ['429 Too Many Requests', '503 Busy']) {
      const { upstream, bench } = await start(({ socket }) =>
        socket.write(
          toAnswer('{"error":"mine"}', status, ['Retry-After: 7', 'X-Odd: caf\xe9', 'Set-Cookie: a', 'Set-Cookie: b']),
        ),
      );
      const answer = await ask(bench.port, request);
      expect(answer).toMatch(
        new RegExp(`^HTTP/1.1 ${status}\r\nRetry-After: 7\r\nX-Odd: caf.\r\nSet-Cookie: a\r\nSet-Cookie: b`),
      );
      expect(answer).not.toContain('x-morphling-error');
      expect(upstream.requests).toHaveLength(1);
    }
  });
});

test('bodies of HEAD, 204 and 304 do not exist, and their lengths pass', async () => {
  const { bench } = await start(({ method, path, socket }) => {
    if (method === 'HEAD') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n');
    else socket.write(`HTTP/1.1 ${path.slice(1)} Nothing\r\nETag: "x"\r\n\r\n`);
  });
  expect(await ask(bench.port, 'HEAD / HTTP/1.1\r\nHost: m\r\n\r\n')).toMatch(
    /^HTTP\/1.1 200 OK\r\ncontent-length: 42\r\n/,
  );
  expect(await ask(bench.port, 'GET /204 HTTP/1.1\r\nHost: m\r\n\r\n')).toMatch(
    /^HTTP\/1.1 204 Nothing\r\nETag: "x"\r\n/,
  );
  expect(await ask(bench.port, 'GET /304 HTTP/1.1\r\nHost: m\r\n\r\n')).toMatch(
    /^HTTP\/1.1 304 Nothing\r\nETag: "x"\r\n/,
  );
});

test('an early answer to a streamed upload reaches the caller, and neither connection is used again', async () => {
  const { upstream, bench } = await start(() => undefined);
  const client = await connectRaw(bench.port);
  client.write('POST /upload HTTP/1.1\r\nHost: m\r\nContent-Length: 100000\r\n\r\nstart');
  await expect.poll(() => upstream.sockets.size).toBe(1);
  for (const socket of upstream.sockets) socket.write(toAnswer('too much', '413 No'));
  expect(await client.closed()).toMatch(/^HTTP\/1.1 413 No\r\n[^]*Connection: close[^]*too much$/);
  await expect.poll(() => upstream.sockets.size).toBe(0);
});

describe('streams', () => {
  test('each event goes out as it comes, the head before the first', async () => {
    let socket: SeenRequest['socket'] | undefined;
    const { bench } = await start((request) => {
      ({ socket } = request);
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
    });
    const client = await connectRaw(bench.port);
    client.write(toPost('/v1/chat/completions', '{"model":"llm","stream":true}'));
    await client.until(/text\/event-stream[^]*\r\n\r\n$/);
    socket?.write('9\r\ndata: a\n\n\r\n');
    await client.until(/data: a\n\n\r\n$/);
    socket?.write('9\r\ndata: b\n\n\r\n');
    await client.until(/data: b\n\n\r\n$/);
    socket?.write('0\r\n\r\n');
    await client.until(/0\r\n\r\n$/);
    await expect.poll(() => bench.completions).toMatchObject([{ model: 'llm', protocol: 'openai', outcome: 'ok' }]);
    client.destroy();
  });

  test('a caller that leaves while the answer is paused frees the upstream connection, time after time', async () => {
    const big = Buffer.alloc(8 << 20, 'x');
    const { upstream, bench } = await start(({ socket, path }) => {
      if (path === '/ok') socket.write(toAnswer('ok'));
      else {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${10 * big.length}\r\n\r\n`);
        for (let i = 0; i < 10; i++) socket.write(big);
      }
    });
    for (const request of [GET, PREDICT]) {
      for (let i = 0; i < 8; i++) {
        const client = await connectRaw(bench.port);
        client.socket.pause();
        client.write(request);
        await expect.poll(() => [...upstream.sockets].some((socket) => socket.writableNeedDrain)).toBe(true);
        client.destroy();
        await expect.poll(() => upstream.sockets.size).toBe(0);
      }
    }
    expect(bench.proxy.openRequests).toBe(0);
    expect(bench.proxy.lanes()).toMatchObject([{ model: 'm', queueDepth: 0, inflight: 0 }]);
    expect(await ask(bench.port, 'GET /ok HTTP/1.1\r\nHost: m\r\n\r\n')).toMatch(/ok$/);
  });

  test('a slow caller slows the upstream instead of filling memory', async () => {
    const total = 64 << 20;
    let sent = 0;
    const { bench } = await start(({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      const block = Buffer.alloc(1 << 20);
      const more = (): void => {
        while (sent < total) {
          sent += block.length;
          if (!socket.write(block)) return void socket.once('drain', more);
        }
      };
      more();
    });
    const client = await connectRaw(bench.port);
    client.socket.pause();
    client.write(GET);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stuckAt = sent;
    expect(stuckAt).toBeLessThan(total / 2);
    let received = 0;
    client.socket.on('data', (chunk: Buffer) => (received += chunk.length));
    client.socket.resume();
    await expect.poll(() => received, { timeout: 5000 }).toBeGreaterThan(total);
    client.destroy();
  });

  test('an upload is passed on while it comes', async () => {
    const { upstream, bench } = await start(({ socket, body }) => socket.write(toAnswer(String(body.length))));
    const client = await connectRaw(bench.port);
    client.write('PUT /upload HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await expect.poll(() => upstream.sockets.size).toBe(1);
    client.write('2\r\nde\r\n0\r\n\r\n');
    expect(await client.until(/\r\n\r\n5$/)).toMatch(/^HTTP\/1.1 200 /);
    expect(upstream.requests[0]?.head).toMatch(/transfer-encoding: chunked/i);
    client.destroy();
  });
});

test('an upload that declared its length keeps it: some servers understand no chunked requests', async () => {
  const { upstream, bench } = await start(({ socket }) => socket.write(toAnswer('ok')));
  expect(await ask(bench.port, toPost('/elsewhere', 'x'.repeat(100_000)))).toMatch(/^HTTP\/1.1 200/);
  const seen = upstream.requests[0];
  expect(seen?.head.toLowerCase()).toContain('content-length: 100000');
  expect(seen?.head.toLowerCase()).not.toContain('transfer-encoding');
  expect(seen?.body).toHaveLength(100_000);
});

test('leaving before the answer, queued or called, frees every place', async () => {
  const { upstream, bench } = await start(() => undefined);
  const clients = await Promise.all(Array.from({ length: 5 }, () => connectRaw(bench.port)));
  for (const client of clients) client.write(PREDICT);
  await expect.poll(() => bench.proxy.lanes()).toMatchObject([{ queueDepth: 4, inflight: 1 }]);
  for (const client of clients) client.destroy();
  await expect.poll(() => bench.proxy.lanes()).toMatchObject([{ queueDepth: 0, inflight: 0 }]);
  await expect.poll(() => upstream.sockets.size).toBe(0);
  expect(upstream.requests).toHaveLength(1);
  expect(bench.completions.map(({ outcome, ending }) => `${outcome} ${ending}`)).toEqual(
    Array(5).fill('cancelled ignored'),
  );
});

describe('a model server that is down', () => {
  test('is not waited for: callers are told at once, nothing is queued, and the first call after its return is served', async () => {
    const upstream = await startRawUpstream(({ socket }) => socket.write(toAnswer('{"predictions":[1]}')));
    const bench = await startProxyBench(upstream.origin);
    open.push(bench);
    // A delay of a minute: whoever waited for company would not be told anything.
    bench.set({ batchDelayMs: 60_000 });
    await upstream.close();
    const { origin } = upstream;
    for (let i = 0; i < 5; i++) expect(await ask(bench.port, GET)).toMatch(/^HTTP\/1.1 503 /);
    for (const request of [GET, PREDICT]) {
      const sentMs = performance.now();
      const answer = await ask(bench.port, request);
      expect(answer).toMatch(/^HTTP\/1.1 503 [^]*x-morphling-error: upstream\r\nretry-after: 1\r\n/i);
      expect(performance.now() - sentMs).toBeLessThan(50);
    }
    expect(bench.proxy.load('m').queueDepth).toBe(0);
    expect(bench.logs.filter((line) => line.includes('accepts no connections'))).toHaveLength(1);
    bench.set({ batchDelayMs: 0 });
    const again = await startRawUpstream(
      ({ socket }) => socket.write(toAnswer('{"predictions":[1]}')),
      Number(new URL(origin).port),
    );
    open.push(again);
    await expect.poll(() => ask(bench.port, PREDICT), { timeout: 1000, interval: 20 }).toMatch(/^HTTP\/1.1 200 /);
    expect(await ask(bench.port, GET)).toMatch(/^HTTP\/1.1 200 /);
    expect(bench.logs.filter((line) => line.includes('accepts connections again'))).toHaveLength(1);
  });

  test('fails a long queue one by one, not one inside the other', async () => {
    const calls: SeenRequest[] = [];
    const { upstream, bench } = await start((request) => void calls.push(request));
    const clients = await Promise.all(Array.from({ length: 400 }, () => connectRaw(bench.port)));
    // Each has its own key, so that each is a call of its own.
    for (const [i, client] of clients.entries())
      client.write(toPost('/v1/models/m:predict', '{"instances":[1]}', `Cookie: ${i}\r\n`));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(399);
    await upstream.close();
    const answers = await Promise.all(clients.map((client) => client.until(/^HTTP[^]*\r\n\r\n[^]*$/)));
    const statuses = answers.map((answer) => Number(answer.slice(9, 12)));
    expect([
      statuses.filter((status) => status === 502).length,
      statuses.filter((status) => status === 503).length,
    ]).toEqual([1, 399]);
    expect(upstream.requests).toHaveLength(1);
    for (const client of clients) client.destroy();
  });
});
