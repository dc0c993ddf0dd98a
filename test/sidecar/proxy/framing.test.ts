// The framing law at the socket: what must be refused never reaches the model server, and what may pass passes whole.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectRaw } from '../../support/peers/raw-client.ts';
import { startProxyBench, type ProxyBench } from '../../support/peers/proxy-bench.ts';
import { startRawUpstream, toAnswer, type RawUpstream } from '../../support/peers/raw-upstream.ts';

let upstream: RawUpstream;
let bench: ProxyBench;

beforeAll(async () => {
  upstream = await startRawUpstream(({ socket }) => socket.write(toAnswer('{"predictions":[1]}')));
  bench = await startProxyBench(upstream.origin);
});
afterAll(async () => {
  await bench.close();
  await upstream.close();
});

const CHUNKED = '5\r\nhello\r\n0\r\n\r\n';
/** [what, header lines, body, status, is the connection closed] */
const TABLE: readonly (readonly [string, string, string, number, boolean])[] = [
  // happy rows
  ['a plain length', 'Content-Length: 5', 'hello', 200, false],
  ['exactly chunked', 'Transfer-Encoding: chunked', CHUNKED, 200, false],
  ['a length of zero', 'Content-Length: 0', '', 200, false],
  ['no body at all', 'X-A: b', '', 200, false],
  [
    'an ignorable offer of h2c',
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA',
    '',
    200,
    false,
  ],
  // both framings, the classic of CL.TE and TE.CL
  ['chunked beside a length', 'Transfer-Encoding: chunked\r\nContent-Length: 5', CHUNKED, 400, true],
  ['a length beside chunked', 'Content-Length: 5\r\nTransfer-Encoding: chunked', CHUNKED, 400, true],
  // codings that some parsers take for chunked
  ['a leading comma', 'Transfer-Encoding: ,chunked', CHUNKED, 400, true],
  ['gzip before chunked', 'Transfer-Encoding: gzip, chunked', CHUNKED, 400, true],
  ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', CHUNKED, 400, true],
  ['identity', 'Transfer-Encoding: identity', 'hello', 400, true],
  ['an unknown coding', 'Transfer-Encoding: blegh', CHUNKED, 400, true],
  ['a capital', 'Transfer-Encoding: Chunked', CHUNKED, 400, true],
  ['a vertical tab', 'Transfer-Encoding:\x0bchunked', CHUNKED, 400, true],
  ['a no-break space', 'Transfer-Encoding: \xa0chunked', CHUNKED, 400, true],
  ['a space before the colon', 'Transfer-Encoding : chunked', CHUNKED, 400, true],
  ['a folded line', 'Transfer-Encoding:\r\n chunked', CHUNKED, 400, true],
  // lengths that are read in two ways
  ['a leading zero', 'Content-Length: 05', 'hello', 400, true],
  ['a plus sign', 'Content-Length: +5', 'hello', 400, true],
  ['a minus sign', 'Content-Length: -5', 'hello', 400, true],
  ['hex', 'Content-Length: 0x5', 'hello', 400, true],
  ['an underscore', 'Content-Length: 1_0', 'hello', 400, true],
  ['an empty length', 'Content-Length:', 'hello', 400, true],
  ['two lengths', 'Content-Length: 5\r\nContent-Length: 6', 'hello', 400, true],
  ['the same length twice', 'Content-Length: 5\r\nContent-Length: 5', 'hello', 400, true],
  ['a list of lengths', 'Content-Length: 5, 5', 'hello', 400, true],
  ['a length beyond every integer', 'Content-Length: 99999999999999999999', '', 400, true],
  ['a length over the limit', 'Content-Length: 1048577', '', 413, true],
  // chunks that are read in two ways
  ['a chunk size with 0x', 'Transfer-Encoding: chunked', '0x5\r\nhello\r\n0\r\n\r\n', 400, true],
  ['a chunk size with a sign', 'Transfer-Encoding: chunked', '+5\r\nhello\r\n0\r\n\r\n', 400, true],
  ['a chunk without its end', 'Transfer-Encoding: chunked', '5\r\nhelloX\r\n0\r\n\r\n', 400, true],
  ['a chunk size beyond every integer', 'Transfer-Encoding: chunked', 'fffffffffffffffff\r\nhello', 400, true],
  ['a bare line feed in the size', 'Transfer-Encoding: chunked', '5\nhello\r\n0\r\n\r\n', 400, true],
  // other protocols
  ['an upgrade', 'Connection: Upgrade\r\nUpgrade: websocket', '', 501, true],
  ['a header without a colon', 'Nonsense', '', 400, true],
  ['a header with a null', 'X-A: b\0c', '', 400, true],
  ['an expectation of ours that is none', 'Expect: 200-ok\r\nContent-Length: 5', 'hello', 417, false],
];

describe.each(['/v1/models/m:predict', '/somewhere/else'])('a POST to %s', (path) => {
  test.each(TABLE)('with %s', async (_what, lines, body, status, isClosed) => {
    const before = upstream.requests.length;
    const client = await connectRaw(bench.port);
    client.write(`POST ${path} HTTP/1.1\r\nHost: m\r\n${lines}\r\n\r\n${body}`);
    const answer = await client.until(/^HTTP\/1.1 \d{3} [^]*\r\n\r\n/);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    if (isClosed) await client.closed();
    const reached = upstream.requests.slice(before);
    if (status === 200) {
      expect(reached).toHaveLength(1);
      // Our own framing, whatever the caller's was.
      const framing = reached[0]?.head.match(/^(content-length|transfer-encoding):.*$/gim);
      expect(framing).toHaveLength(1);
    } else if (path === '/v1/models/m:predict') expect(reached).toHaveLength(0);
    if (isClosed && path === '/v1/models/m:predict')
      expect(answer.toLowerCase()).toContain('x-morphling-error: bad_request');
    client.destroy();
  });
});

test('a streamed body that breaks off leaves no whole request behind, and its connection is not used again', async () => {
  const before = upstream.requests.length;
  const client = await connectRaw(bench.port);
  client.write('POST /somewhere HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  await expect.poll(() => upstream.sockets.size).toBeGreaterThan(0);
  client.write('zz\r\nGET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n');
  expect(await client.closed()).toMatch(/^HTTP\/1.1 400 /);
  await expect.poll(() => upstream.torn.some((bytes) => bytes.includes('/somewhere'))).toBe(true);
  expect(upstream.requests.slice(before).map(({ path }) => path)).not.toContain('/smuggled');
});

test.each([
  ['absolute-form', 'GET http://evil/ HTTP/1.1', 400],
  ['authority-form', 'GET evil:80 HTTP/1.1', 400],
  ['asterisk-form', 'OPTIONS * HTTP/1.1', 400],
  ['a fragment', 'GET /v2#x HTTP/1.1', 400],
  ['TRACE', 'TRACE / HTTP/1.1', 501],
  ['CONNECT', 'CONNECT evil:80 HTTP/1.1', 400],
  ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0', 400],
  ['an unknown version', 'GET / HTTP/3.7', 400],
  ['no version', 'GET /', 400],
])('%s is refused and the connection closed', async (_what, line, status) => {
  const before = upstream.requests.length;
  const client = await connectRaw(bench.port);
  client.write(`${line}\r\nHost: m\r\n\r\n`);
  const answer = await client.closed();
  if (answer !== '') expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(upstream.requests).toHaveLength(before);
});

test('a request without a host, with 101 headers, or with a block of 17 KiB is refused', async () => {
  for (const [head, status] of [
    ['GET / HTTP/1.1\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: m\r\n${'X-A: b\r\n'.repeat(100)}`, 431],
    [`GET / HTTP/1.1\r\nHost: m\r\nX-A: ${'b'.repeat(17_000)}\r\n`, 431],
  ] as const) {
    const client = await connectRaw(bench.port);
    client.write(`${head}\r\n`);
    expect(await client.closed()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  }
});

test('a body over the limit that no header announces is counted and refused', async () => {
  const before = upstream.requests.length;
  const client = await connectRaw(bench.port);
  client.write('POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  for (let i = 0; i < 20; i++) client.write(chunk);
  client.write('0\r\n\r\n');
  expect(await client.closed()).toMatch(/^HTTP\/1.1 413 [^]*over the limit of 1048576 bytes/);
  expect(upstream.requests).toHaveLength(before);
});

test('a refused client that is still writing gets its answer before the connection ends', async () => {
  const client = await connectRaw(bench.port);
  client.write('POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 2000000\r\n\r\n');
  for (let i = 0; i < 20; i++) client.write('x'.repeat(100_000));
  expect(await client.closed()).toMatch(/^HTTP\/1.1 413 /);
});

test('100-continue is said after the head was judged, and not to a body that is too large', async () => {
  const good = await connectRaw(bench.port);
  good.write('POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
  await good.until(/^HTTP\/1.1 100 Continue\r\n\r\n/);
  good.write('{}');
  await good.until(/\r\n\r\nHTTP\/1.1 200 OK/);
  expect(upstream.requests.at(-1)?.head).not.toMatch(/expect/i);
  good.destroy();
  const bad = await connectRaw(bench.port);
  bad.write('POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n');
  expect(await bad.until(/\r\n\r\n/)).toMatch(/^HTTP\/1.1 413 /);
  bad.destroy();
});

test('garbage behind an unanswered request cuts the connection instead of answering in its place', async () => {
  const slow = await startRawUpstream(() => undefined);
  const own = await startProxyBench(slow.origin);
  const client = await connectRaw(own.port);
  client.write('GET /slow HTTP/1.1\r\nHost: m\r\n\r\n');
  await expect.poll(() => slow.requests.length).toBe(1);
  client.write('GARBAGE\r\n\r\n');
  expect(await client.closed()).toBe('');
  await own.close();
  await slow.close();
});

test('hop-by-hop headers, and those that Connection names, stay on their hop', async () => {
  const client = await connectRaw(bench.port);
  client.write(
    'GET /v2 HTTP/1.1\r\nHost: a.b:1\r\nConnection: keep-alive, X-Secret\r\nX-Secret: s\r\nKeep-Alive: 5\r\nTE: trailers\r\n' +
      'Proxy-Connection: x\r\nProxy-Authorization: x\r\nX-Kept: caf\xe9\r\nx-kept: twice\r\n\r\n',
  );
  await client.until(/200 OK/);
  const head = upstream.requests.at(-1)?.head ?? '';
  expect(head).not.toMatch(/secret|^te:|proxy|^keep-alive:/im);
  expect(head).toContain('host: a.b:1');
  expect(head).toContain('X-Kept: caf\xe9\r\nx-kept: twice');
  client.destroy();
});
