// T3: callers who are slow, many, or large. The good ones hardly notice, and the agent gives everything back.
// MORPHLING_TEST_SCALE 1: 1,000 slow heads, 200 slow bodies, 200 good callers, 10,000 connections.
import { gzipSync } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { toTestConfig } from '../support/peers/proxy-bench.ts';
import { countFds, readPssBytes } from '../support/process-use.ts';
import { printFigure, readScale, scaled, toQuantile } from '../support/scale.ts';
import { createLooks } from '../support/soak-look.ts';
import { runLoad, type Sent } from '../support/soak-load.ts';
import { connectWire, faultOf, toPredict, toRequest, type WireClient } from '../support/wire-client.ts';
import { statusOf, valuesOf } from '../support/wire-parser.ts';
import { answerEcho, startRecorder, toWire, type WireRecorder } from '../support/wire-recorder.ts';

const SCALE = readScale(0.25);
const MIB = 2 ** 20;
const ROUNDS = 5;
const BODY_LIMIT_BYTES = 10 * MIB;

let recorder: WireRecorder;
let agent: AgentProcess;
let pid = 0;
const looks = createLooks();

beforeEach(async () => {
  recorder = await startRecorder({ request: (seen) => void setTimeout(() => answerEcho(seen), 5) });
  const limits = { ...toTestConfig('').limits, bodyBytes: BODY_LIMIT_BYTES };
  agent = await startAgent(recorder.origin, { limits }, looks.env);
  pid = agent.pidOf('data') ?? 0;
});
afterEach(async () => {
  expect(agent.pidOf('data')).toBe(pid);
  await agent.stop('SIGKILL');
  await recorder.close();
});

/** Latencies of good callers at a steady rate, ms; every answer must be right. */
async function goodLatencies(ratePerS: number, forMs: number): Promise<number[]> {
  const endMs = performance.now() + forMs;
  const sent: Sent[] = [];
  await runLoad({
    ratePerS,
    next: (index) => (performance.now() > endMs ? null : { port: agent.port, bytes: toPredict([`item-${index}`]) }),
    done: (one) => sent.push(one),
    timeoutMs: 10_000,
  });
  for (const { index, answer, why } of sent)
    expect([why, answer?.body.toString()]).toEqual(['answered', `{"predictions":["item-${index}"]}`]);
  return sent.map(({ sentMs, endedMs }) => endedMs - sentMs);
}

test('slow heads and slow bodies do not slow the others, and slow heads are closed', { timeout: 120_000 }, async () => {
  const heads = scaled(1_000, SCALE);
  const bodies = scaled(200, SCALE);
  const ratePerS = scaled(200, Math.max(SCALE, 0.5));
  interface Slow {
    readonly client: WireClient;
    readonly kind: 'head' | 'body';
    readonly sinceMs: number;
    closedMs: number;
  }
  const open = async (kind: 'head' | 'body'): Promise<Slow> => {
    const client = await connectWire(agent.port);
    const head = 'POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 9000\r\n\r\n{';
    client.write(kind === 'head' ? 'POST / HTTP/1.1\r\n' : head);
    const one: Slow = { client, kind, sinceMs: performance.now(), closedMs: 0 };
    client.socket.once('close', () => (one.closedMs = performance.now()));
    return one;
  };
  let slow: Slow[] = [];
  // One letter a second, as the classics do.
  const drip = setInterval(() => {
    for (const { client, kind } of slow) if (!client.isClosed) client.socket.write(kind === 'head' ? 'X' : ' ');
  }, 1_000);
  await goodLatencies(ratePerS, 1_500);
  const alone: number[] = [];
  const beside: number[] = [];
  // In turns, since a machine shared with others is now slow, now fast.
  for (let round = 0; round < ROUNDS; round++) {
    for (const { client } of slow) client.destroy();
    slow = [];
    alone.push(toQuantile(await goodLatencies(ratePerS, 2_000), 0.99));
    for (let i = 0; i < heads; i++) slow.push(await open('head'));
    for (let i = 0; i < bodies; i++) slow.push(await open('body'));
    beside.push(toQuantile(await goodLatencies(ratePerS, 2_000), 0.99));
  }
  const baselineMs = toQuantile(alone, 0.5);
  const underMs = toQuantile(beside, 0.5);
  const openHeads = (): number => slow.filter(({ client, kind }) => kind === 'head' && !client.isClosed).length;
  const waitUntilMs = performance.now() + 20_000;
  while (openHeads() > 0 && performance.now() < waitUntilMs) await sleep(50);
  clearInterval(drip);
  const closedMs = slow.filter(({ kind }) => kind === 'head').map(({ sinceMs, closedMs }) => closedMs - sinceMs);
  const openBodies = slow.filter(({ client, kind }) => kind === 'body' && !client.isClosed).length;
  printFigure('T3 slow callers', {
    scale: SCALE,
    'slow heads': heads,
    'slow bodies': bodies,
    'good p99 alone': `${baselineMs.toFixed(1)} ms`,
    'beside them': `${underMs.toFixed(1)} ms`,
    'slow heads closed within': `${(Math.max(...closedMs) / 1000).toFixed(1)} s`,
    'slow bodies still open': openBodies,
  });
  for (const { client } of slow) client.destroy();
  expect(openHeads()).toBe(0);
  expect(Math.max(...closedMs)).toBeLessThanOrEqual(15_500);
  // Half as much again; two busy cores add a few milliseconds of their own to any tail.
  expect(underMs).toBeLessThanOrEqual(1.5 * baselineMs + 10);
});

test('ten thousand connections come and go, and leave no file descriptor behind', { timeout: 120_000 }, async () => {
  const count = scaled(10_000, SCALE);
  const ask = async (index: number): Promise<void> => {
    const client = await connectWire(agent.port);
    client.write(toPredict([`item-${index}`]));
    // Each third leaves at once, each third is closed by the agent's side of HTTP, the rest close after the answer.
    if (index % 3 !== 0) expect((await client.next())?.body.toString()).toBe(`{"predictions":["item-${index}"]}`);
    client.destroy();
  };
  for (let i = 0; i < 50; i++) await ask(3 * i + 1);
  await sleep(500);
  const fdsOf = (): number[] => [countFds(pid) ?? 0, countFds(agent.supervisor.pid ?? 0) ?? 0];
  const before = fdsOf();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await ask(next++);
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  await sleep(5_500);
  const after = fdsOf();
  printFigure('T3 churn', { scale: SCALE, connections: count, 'fds before': before.join('+'), after: after.join('+') });
  for (const [i, fds] of after.entries()) expect(Math.abs(fds - before[i]!)).toBeLessThanOrEqual(5);
});

test('a body of 100 MB against a limit of 10 is refused, and not kept', { timeout: 60_000 }, async () => {
  // Warm: the first large body makes room once.
  const warm = await connectWire(agent.port);
  warm.write(toRequest('POST', '/v1/models/m:predict', 'x'.repeat(BODY_LIMIT_BYTES)));
  expect(statusOf((await warm.next())!)).toBe(200);
  warm.destroy();
  const { rssBytes: before } = await looks.look(pid);
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, readPssBytes(pid) ?? 0)), 10);
  const statuses: number[] = [];
  for (const path of ['/v1/models/m:predict', '/v1/raw']) {
    for (const framing of ['Content-Length: 104857600', 'Transfer-Encoding: chunked']) {
      const client = await connectWire(agent.port);
      client.write(`POST ${path} HTTP/1.1\r\nHost: m\r\n${framing}\r\n\r\n`);
      const piece = Buffer.alloc(1 << 20, 120);
      for (let mib = 0; mib < 100 && !client.isClosed && client.answers.length === 0; mib++) {
        if (framing.startsWith('T')) client.socket.write('100000\r\n');
        const isRoom = client.socket.write(piece);
        if (framing.startsWith('T')) client.socket.write('\r\n');
        if (!isRoom)
          await Promise.race([
            new Promise((resolve) => client.socket.once('drain', resolve)),
            client.until(() => client.isClosed || client.answers.length > 0, 5_000),
          ]);
      }
      const answer = await client.next(5_000);
      statuses.push(answer === null ? 0 : statusOf(answer));
      client.destroy();
    }
  }
  clearInterval(watch);
  printFigure('T3 large bodies', {
    statuses: statuses.join('/'),
    'peak above before': `${((peak - before) / MIB).toFixed(1)} MiB`,
  });
  expect(statuses).toEqual([413, 413, 413, 413]);
  expect(peak - before).toBeLessThan(2 * BODY_LIMIT_BYTES);
});

test('a caller cannot make much of little: 10 KiB of head cost less than 1 MiB', { timeout: 60_000 }, async () => {
  const count = 200;
  recorder.script = { request: () => undefined };
  const warm = await connectWire(agent.port);
  warm.write(toRequest('POST', '/v1/raw', 'x'));
  await sleep(200);
  const before = readPssBytes(pid) ?? 0;
  const headers = Array.from({ length: 90 }, (_, i) => `x-${i}: ${'a'.repeat(100)}`);
  const clients = await Promise.all(Array.from({ length: count }, () => connectWire(agent.port)));
  for (const client of clients) client.write(toRequest('POST', '/v1/raw', 'x'.repeat(200), headers));
  await expect.poll(() => recorder.seen.length, { timeout: 10_000 }).toBe(count + 1);
  const each = ((readPssBytes(pid) ?? 0) - before) / count;
  printFigure('T3 cost of a request', { open: count, 'memory each': `${(each / 1024).toFixed(0)} KiB` });
  for (const client of [warm, ...clients]) client.destroy();
  expect(each).toBeLessThan(MIB);
});

test('16 KiB of head and a header more is 431; names of object members are names', async () => {
  const client = await connectWire(agent.port);
  client.write(toRequest('GET', '/', null, [`x-a: ${'a'.repeat(16 << 10)}`, 'x-b: c']));
  expect(statusOf((await client.next())!)).toBe(431);
  const names = ['__proto__: a', 'constructor: b', 'hasOwnProperty: c'];
  const other = await connectWire(agent.port);
  other.write(toPredict(['x'], names));
  expect(statusOf((await other.next())!)).toBe(200);
  expect(recorder.seen.at(-1)?.headers.map(([name]) => name)).toEqual(
    expect.arrayContaining(['__proto__', 'constructor', 'hasOwnProperty']),
  );
  client.destroy();
  other.destroy();
});

test('what is packed stays packed: a bomb passes as the small thing it is', { timeout: 60_000 }, async () => {
  const bomb = gzipSync(Buffer.alloc(100 * MIB));
  recorder.script = {
    request: ({ link }) =>
      void link.socket.write(toWire(bomb, '200 OK', ['content-encoding: gzip', 'content-type: application/json'])),
  };
  const { rssBytes: before } = await looks.look(pid);
  const client = await connectWire(agent.port);
  client.write(
    toRequest('POST', '/v1/models/m:predict', bomb, ['content-encoding: gzip', 'content-type: application/json']),
  );
  const answer = (await client.next())!;
  expect(answer.body.equals(bomb)).toBe(true);
  expect(recorder.seen.at(-1)?.body.equals(bomb)).toBe(true);
  expect(valuesOf(answer.headers, 'content-encoding')).toEqual(['gzip']);
  // Joined calls never ask for packing, and a packed answer to one is not unpacked either.
  const others = await Promise.all(Array.from({ length: 3 }, () => connectWire(agent.port)));
  for (const [i, one] of others.entries()) one.write(toPredict([i]));
  for (const one of others) {
    const got = (await one.next())!;
    expect(faultOf(got) === null ? got.body.equals(bomb) : statusOf(got)).toBeTruthy();
  }
  const growth = (await looks.look(pid)).rssBytes - before;
  printFigure('T3 gzip bomb', {
    'packed bytes': bomb.length,
    'unpacked MiB': 100,
    growth: `${(growth / MIB).toFixed(1)} MiB`,
  });
  expect(growth).toBeLessThan(30 * MIB);
  for (const one of [client, ...others]) one.destroy();
});
