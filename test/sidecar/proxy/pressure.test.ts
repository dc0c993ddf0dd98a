// What is given up as memory runs out, and that it is given back.
import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { isAtLeast, toPressure, type Pressure } from '../../../sidecar/proxy/pressure.ts';
import { ask, type Asked } from '../../support/peers/http-ask.ts';
import { startModelServer } from '../../support/peers/model-server.ts';
import { startProxyBench } from '../../support/peers/proxy-bench.ts';
import { connectRaw } from '../../support/peers/raw-client.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

test.each<[number, Pressure, Pressure]>([
  [0.5, 'none', 'none'],
  [0.849, 'none', 'none'],
  [0.85, 'none', 'tight'],
  [0.92, 'tight', 'closing'],
  // It may come in one look.
  [0.99, 'none', 'shedding'],
  // A step is taken back 3 points below where it began.
  [0.94, 'shedding', 'shedding'],
  [0.919, 'shedding', 'closing'],
  [0.83, 'tight', 'tight'],
  [0.81, 'shedding', 'none'],
  [Number.NaN, 'none', 'none'],
])('%f after %s is %s', (ratio, now, expected) => {
  expect(toPressure(ratio, now)).toBe(expected);
});

test('more memory never means less pressure, and a jitter of two points changes nothing for long', () => {
  const ratio = fc.double({ min: 0, max: 1.2, noNaN: true });
  const pressure = fc.constantFrom<Pressure>('none', 'tight', 'closing', 'shedding');
  fc.assert(
    fc.property(ratio, ratio, pressure, (a, b, now) => {
      expect(isAtLeast(toPressure(Math.max(a, b), now), toPressure(Math.min(a, b), now))).toBe(true);
      const after = toPressure(a, now);
      const steps = Array.from({ length: 6 }, (_, i) => a + (i % 2 === 0 ? -0.01 : 0.01));
      let last = after;
      let changes = 0;
      for (const step of steps) {
        const next = toPressure(step, last);
        if (next !== last) changes += 1;
        last = next;
      }
      expect(changes).toBeLessThanOrEqual(1);
    }),
  );
});

const predict = (text: string): Asked => ({
  method: 'POST',
  path: '/v1/models/m:predict',
  headers: ['Content-Type', 'application/json'],
  body: JSON.stringify({ instances: [text] }),
});

test('step by step: connections are closed, then inference is shed unread, then all is as before', async () => {
  const model = await startModelServer();
  const bench = await startProxyBench(model.origin);
  open.push(model, bench);
  const headOf = async (): Promise<string> => {
    const client = await connectRaw(bench.port);
    client.write('POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 17\r\n\r\n{"instances":[1]}');
    const answer = await client.until(/\r\n\r\n[^]*\}$/);
    client.destroy();
    return answer;
  };
  bench.proxy.setPressure('tight');
  expect(await headOf()).toMatch(/^HTTP\/1.1 200 /);
  expect(await headOf()).not.toMatch(/connection: close/i);
  bench.proxy.setPressure('closing');
  expect(await headOf()).toMatch(/^HTTP\/1.1 200 [^]*connection: close/i);
  bench.proxy.setPressure('shedding');
  const calls = model.calls.length;
  const refused = await ask(bench.port, predict('x'));
  expect(refused.status).toBe(503);
  expect(refused.headers).toEqual(expect.arrayContaining(['retry-after: 1', 'x-morphling-error: shed']));
  expect(refused.body.toString()).toContain('memory');
  // Who is not asking for inference, a probe say, is served.
  expect((await ask(bench.port, { method: 'GET', path: '/v2/health/ready' })).status).toBe(200);
  expect(model.calls.length).toBe(calls);
  bench.proxy.setPressure('none');
  expect(await headOf()).not.toMatch(/connection: close/i);
  expect(bench.completions.at(-2)).toMatchObject({ outcome: 'shed', ending: 'dropped', code: 503 });
});

test('under pressure bodies in memory grow no further: who comes with a large one is shed, small ones pass', async () => {
  const model = await startModelServer();
  model.latencyMs = 400;
  const bodyBytes = 100 << 20;
  const bench = await startProxyBench(model.origin, {
    limits: { bodyBytes, queueRequests: 1000, concurrency: 64, connections: 100, upstreamTimeoutMs: 10_000 },
  });
  open.push(model, bench);
  bench.proxy.setPressure('tight');
  // 400 MiB are the budget of all bodies, a sixteenth of it is always there.
  const large = await ask(bench.port, predict('x'.repeat(40 << 20)));
  expect([large.status, large.headers]).toEqual([503, expect.arrayContaining(['x-morphling-error: shed'])]);
  expect((await ask(bench.port, predict('x'.repeat(4 << 20)))).status).toBe(200);
  bench.proxy.setPressure('none');
  expect((await ask(bench.port, predict('x'.repeat(40 << 20)))).status).toBe(200);
});
