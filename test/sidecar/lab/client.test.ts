import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { createEchoPayload, createZeroPayload } from '../../../sidecar/lab/client-payload.ts';
import { runClient } from '../../../sidecar/lab/client.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(
  answer: (response: ServerResponse, body: string, request: IncomingMessage) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => answer(response, body, request));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
}

const echo = (body: string) => JSON.stringify({ outputs: JSON.parse(body).inputs });
const never = new AbortController().signal;
const payload = createEchoPayload('m');
const options = (url: string, timesS: number[]) => ({
  url,
  payload,
  timesS: Float64Array.from(timesS),
  durationS: 0.2,
  slaMs: 100,
  timeoutMs: 300,
});

describe('the open-loop client', () => {
  test('sends on schedule while the server is silent: a stalled server cannot slow it down', async () => {
    const arrivedMs: number[] = [];
    const url = await serve((response, body) => {
      arrivedMs.push(performance.now());
      setTimeout(() => response.end(echo(body)), 150);
    });
    const summary = await runClient(options(url, [0, 0.02, 0.04, 0.06, 0.08]), never);
    expect(summary.fates.ok).toBe(5);
    expect(Math.max(...arrivedMs) - Math.min(...arrivedMs)).toBeLessThan(140);
    expect(summary.p50Ms).toBeGreaterThanOrEqual(150);
    expect(summary.goodputPerS).toBe(0);
  });

  test('each fate is told apart', async () => {
    const url = await serve((response, body, request) => {
      const nonce: unknown = JSON.parse(body).inputs[0].data[0];
      if (nonce === 0) response.end(echo(body));
      // somebody else's answer
      else if (nonce === 1) response.end(JSON.stringify({ outputs: [{ data: [77, 0.5] }] }));
      else if (nonce === 2) response.writeHead(503, { 'x-morphling-error': 'shed' }).end();
      else if (nonce === 3) response.writeHead(500).end('{}');
      else if (nonce === 4) request.socket.destroy();
      else if (nonce === 5) response.end('<html>');
      // 6: no answer at all
    });
    const summary = await runClient(options(url, [0, 0, 0, 0, 0, 0, 0]), never);
    expect(summary.fates).toEqual({ ok: 1, shed: 1, error: 1, wrong: 2, timeout: 2 });
    expect(summary.lost).toBe(6);
  });

  test('nobody there: every request is lost, none is forgotten', async () => {
    const url = await serve((response) => response.end());
    servers.splice(0).forEach((server) => server.close());
    const summary = await runClient(options(url, [0, 0.01, 0.02]), never);
    expect([summary.requests, summary.lost]).toEqual([3, 3]);
  });

  test('an abort ends it at once with what there was', async () => {
    const url = await serve(() => {});
    const abort = new AbortController();
    const startMs = performance.now();
    setTimeout(() => abort.abort(), 30);
    const summary = await runClient({ ...options(url, [0, 5]), durationS: 10, timeoutMs: 9000 }, abort.signal);
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect([summary.requests, summary.lost]).toEqual([1, 1]);
  });
});

describe('payloads', () => {
  test('the echo of another request is not an answer', () => {
    expect(payload.isAnswer(echo(payload.toBody(5)), 5)).toBe(true);
    expect(payload.isAnswer(echo(payload.toBody(5)), 6)).toBe(false);
    expect(payload.isAnswer('', 5)).toBe(false);
    expect(payload.isAnswer('{"outputs":[]}', 5)).toBe(false);
  });

  test("one item of zeros is made from a model's own metadata", () => {
    const zeros = createZeroPayload('m', {
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [-1, 3] },
        { name: 'b', datatype: 'BYTES', shape: [-1, 1] },
      ],
    });
    expect(JSON.parse(zeros.toBody(1))).toEqual({
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [1, 3], data: [0, 0, 0] },
        { name: 'b', datatype: 'BYTES', shape: [1, 1], data: ['0'] },
      ],
    });
    expect(zeros.isAnswer('{"outputs":[{"shape":[1,10]}]}', 1)).toBe(true);
    expect(zeros.isAnswer('{"outputs":[{"shape":[4,10]}]}', 1)).toBe(false);
  });

  test.each([null, {}, { inputs: [] }, { inputs: [{ name: 'a' }] }])('metadata %j is not enough', (metadata) => {
    expect(() => createZeroPayload('m', metadata)).toThrow(/metadata of m/);
  });
});
