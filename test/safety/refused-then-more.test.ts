// A refusal closes its connection, but the bytes behind it have been read already: none of them may run as a request.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRaw } from '../support/peers/raw-client.ts';
import { startProxyBench, type ProxyBench } from '../support/peers/proxy-bench.ts';
import { startRawUpstream, toAnswer, type RawUpstream } from '../support/peers/raw-upstream.ts';

let upstream: RawUpstream;
let bench: ProxyBench;

beforeAll(async () => {
  upstream = await startRawUpstream(({ socket }) => socket.write(toAnswer('{}')));
  bench = await startProxyBench(upstream.origin);
});
afterAll(async () => {
  await bench.close();
  await upstream.close();
});

test.each([
  ['absolute form', 'GET http://m/ HTTP/1.1\r\nHost: m\r\n\r\n', 400],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: m\r\n\r\n', 501],
  ['an upgrade', 'GET / HTTP/1.1\r\nHost: m\r\nUpgrade: websocket\r\n\r\n', 501],
  ['no version', 'GET /\r\n\r\n', null],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['two hosts', 'GET / HTTP/1.1\r\nHost: m\r\nhost: evil\r\n\r\n', 400],
  ['101 headers', `GET / HTTP/1.1\r\nHost: m\r\n${'X-A: b\r\n'.repeat(100)}\r\n`, 431],
])('%s: refused as ours, closed, and what follows is dropped', async (_what, refused, status) => {
  const client = await connectRaw(bench.port);
  client.write(`${refused}GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n`);
  const answer = await client.closed();
  expect(upstream.requests).toEqual([]);
  // A request of HTTP/0.9 has no way to be told.
  if (status === null) return;
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer).toMatch(/x-morphling-error: bad_request/i);
  expect(answer.match(/HTTP\/1.1 /g)).toHaveLength(1);
});

test('a body that turns out too large, and then more', async () => {
  const client = await connectRaw(bench.port);
  client.write('POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n');
  client.write(`${`10000\r\n${'x'.repeat(0x10000)}\r\n`.repeat(17)}0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n`);
  expect(await client.closed()).toMatch(/^HTTP\/1.1 413 /);
  expect(upstream.requests).toEqual([]);
});
