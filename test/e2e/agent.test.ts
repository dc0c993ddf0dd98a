// The agent as its users run it: three processes before a model server, and whatever may befall them.
import { existsSync, readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { ask, type Asked } from '../support/peers/http-ask.ts';
import { startModelServer, type ModelServer } from '../support/peers/model-server.ts';
import { connectRaw } from '../support/peers/raw-client.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];

function predict(instances: unknown[], model = 'echo', headers: string[] = []): Asked {
  return {
    method: 'POST',
    path: `/v1/models/${model}:predict`,
    headers: [...JSON_TYPE, ...headers],
    body: JSON.stringify({ instances }),
  };
}

function infer(rows: number[][], model = 'echo', id?: string): Asked {
  const input = { name: 'x', datatype: 'FP32', shape: [rows.length, 2], data: rows.flat() };
  const body = JSON.stringify({ ...(id === undefined ? {} : { id }), inputs: [input] });
  return { method: 'POST', path: `/v2/models/${model}/infer`, headers: JSON_TYPE, body };
}

function inferBinary(rows: number[][], model = 'echo'): Asked {
  const bytes = Buffer.alloc(rows.flat().length * 4);
  for (const [i, value] of rows.flat().entries()) bytes.writeFloatLE(value, 4 * i);
  const head = Buffer.from(
    JSON.stringify({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [rows.length, 2], parameters: { binary_data_size: bytes.length } },
      ],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    method: 'POST',
    path: `/v2/models/${model}/infer`,
    headers: ['Content-Type', 'application/octet-stream', 'Inference-Header-Content-Length', String(head.length)],
    body: Buffer.concat([head, bytes]),
  };
}

const get = (path: string, headers: string[] = []): Asked => ({ method: 'GET', path, headers });
const post = (path: string, body: string, headers: string[] = JSON_TYPE): Asked => ({
  method: 'POST',
  path,
  body,
  headers,
});

type Control = (method: string, path: string, body?: unknown) => Promise<Record<string, unknown>>;

/** Speaks to the control port with its token; anything but 200 fails the test. */
function toControl(agent: AgentProcess): Control {
  const token = readFileSync(join(agent.stateDir, 'token'), 'utf8').trim();
  const headers = [...JSON_TYPE, 'Host', `127.0.0.1:${agent.controlPort}`, 'Authorization', `Bearer ${token}`];
  return async (method, path, body) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await ask(agent.controlPort, { method, path, headers, setsHost: true, ...sent });
    expect([path, answer.status, answer.status === 200 ? '' : answer.body.toString()]).toEqual([path, 200, '']);
    return JSON.parse(answer.body.toString()) as Record<string, unknown>;
  };
}

/** Each is asked directly and through the agent; the answers must be the same, byte for byte. */
const GOLDEN: readonly Asked[] = [
  // V1
  get('/v1/models'),
  get('/v1/models/echo'),
  get('/v1/models/echo/versions/3'),
  get('/v1/models/echo/metadata'),
  predict([1]),
  predict([1, 2, 3]),
  post('/v1/models/echo:predict', '{"instances":[{"a":[1.5e300,-0.0,1E-7]},{"a":[12345678901234567890]}]}'),
  predict(['snow ☃', 'quote " and \\ and \u2028', '']),
  predict([null, true, false, [], {}]),
  predict([]),
  predict(['bad']),
  predict([1], 'sum'),
  predict([1, 2], 'sum'),
  predict([1], 'miscount'),
  post('/v1/models/echo:predict', '  {\n "instances" : [ 1 , 2 ] , "signature_name": "x" }\n'),
  post('/v1/models/echo:predict', '{"instances":[1],"instances":[2]}'),
  post('/v1/models/echo:predict', '{"inputs":[1]}'),
  post('/v1/models/echo:predict', '{"instances":[1'),
  post('/v1/models/echo:predict', 'nonsense'),
  post('/v1/models/echo:predict', ''),
  post('/v1/models/echo:predict', '{"instances":[1]}', []),
  post('/v1/models/echo:predict', '{"instances":[1]}', ['Content-Type', 'text/plain; charset=utf-8']),
  { ...predict([1, 2]), isChunked: true },
  post('/v1/models/echo:explain', '{"instances":[1]}'),
  post('/v1/models/echo:predict?trace=1&x=%20a', '{"instances":[1]}'),
  post('/v1/models/a%2Fb:predict', '{"instances":[1]}'),
  post('/v1/models/echo:predict;v=1', '{"instances":[1]}'),
  get('/v1/models/echo:predict'),
  // V2 and Triton's extensions
  get('/v2'),
  get('/v2/health/live'),
  get('/v2/health/ready'),
  get('/v2/models/echo'),
  get('/v2/models/echo/versions/1'),
  get('/v2/models/echo/ready'),
  get('/v2/models/echo/config'),
  get('/v2/models/echo/stats'),
  infer([[1, 2]]),
  infer(
    [
      [1, 2],
      [3, 4],
    ],
    'echo',
    'my-id',
  ),
  infer([[1, 2]], 'fixed'),
  infer([]),
  post('/v2/models/echo/infer', '{"inputs":[{"name":"s","datatype":"BYTES","shape":[1,1],"data":["☃"]}]}'),
  post('/v2/models/echo/versions/2/infer', String(infer([[5, 6]]).body)),
  post(
    '/v2/models/echo/infer',
    '{"parameters":{"sequence_id":7},"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}',
  ),
  post('/v2/models/echo/infer', '{'),
  inferBinary([[1.5, 2.5]]),
  inferBinary([
    [1, 2],
    [3, 4],
  ]),
  inferBinary([[1, 2]], 'fixed'),
  post('/v2/models/echo/generate', '{"text_input":"a"}'),
  post('/v2/models/echo/generate_stream', '{"text_input":"a"}'),
  post('/v2/repository/index', '{}'),
  post('/v2/repository/models/echo/load', '{}'),
  get('/v2/systemsharedmemory/status'),
  get('/v2/trace/setting'),
  // OpenAI, events
  post('/v1/chat/completions', '{"model":"llm","messages":[{"role":"user","content":"hi"}]}'),
  post('/v1/completions', '{"model":"llm","prompt":"hi","stream":true}'),
  post('/openai/v1/embeddings', '{"model":"e","input":["a","b"]}'),
  get('/events', ['Accept', 'text/event-stream']),
  post('/events', '{"stream":true}'),
  // anything else
  get('/'),
  get('/metrics/of/mine'),
  get('/a//b/../c/./d?x=1&&y==2?#'.replace('#', '')),
  get('/%00%ff%2e%2e/'),
  { method: 'HEAD', path: '/status/200' },
  { method: 'OPTIONS', path: '/x' },
  { method: 'DELETE', path: '/x' },
  { method: 'PUT', path: '/x', body: Buffer.from(Array.from({ length: 256 }, (_, i) => i)) },
  { method: 'PATCH', path: '/x', body: 'abc', isChunked: true },
  post('/predictions/m', 'raw bytes', ['Content-Type', 'application/octet-stream']),
  ...[201, 301, 400, 401, 404, 418, 429, 500, 503].map((status) => get(`/status/${status}`)),
  get('/status/200', ['User-Agent', 'caf\xe9', 'Accept', 'a, b']),
];

describe('an agent before a model server', () => {
  let model: ModelServer;
  let agent: AgentProcess;
  beforeAll(async () => {
    model = await startModelServer();
    agent = await startAgent(model.origin);
  });
  afterAll(async () => {
    expect(await agent.stop()).toBe(0);
    await model.close();
  });

  test('is not seen: what comes through it is what comes without it, byte for byte', async () => {
    expect(GOLDEN.length).toBeGreaterThanOrEqual(60);
    const keepAlive = new Agent({ keepAlive: true, maxSockets: 4 });
    for (const asked of GOLDEN) {
      const direct = await ask(model.port, asked);
      const through = await ask(agent.port, { ...asked, agent: keepAlive });
      expect({ asked, ...through }).toEqual({ asked, ...direct });
    }
    keepAlive.destroy();
  });

  test('answers each of thousands its own, whoever leaves and whatever fails', async () => {
    const keepAlive = new Agent({ keepAlive: true, maxSockets: 64 });
    let nonce = 0;
    const tally = { answered: 0, cancelled: 0, failed: 0 };
    const mismatched: string[] = [];
    const before = model.calls.length;
    model.latencyMs = 2;
    const nextAsked = (mine: string, n: number): Asked => {
      if (n % 3 === 0)
        return infer(
          Array.from({ length: 1 + (n % 2) }, (_, i) => [n, i]),
          'echo',
          mine,
        );
      if (n % 3 === 1) return inferBinary([[n, n + 0.5]]);
      return predict(
        [mine, ...(n % 5 === 0 ? ['bad'] : [])],
        'echo',
        n % 7 === 0 ? ['Authorization', `user ${n % 4}`] : [],
      );
    };
    const isOwn = (body: Buffer, asked: Asked, mine: string, n: number): boolean => {
      if (n % 3 === 1) return body.subarray(-8).equals(Buffer.from(asked.body as Buffer).subarray(-8));
      const answer = JSON.parse(body.toString()) as {
        id?: string;
        predictions?: unknown[];
        outputs?: { data: unknown[] }[];
      };
      if (n % 3 === 0) return answer.id === mine && answer.outputs?.[0]?.data[0] === n;
      return answer.predictions?.length === 1 && answer.predictions[0] === mine;
    };
    const one = async (): Promise<void> => {
      const n = nonce++;
      const mine = `nonce-${n}-${Math.random().toString(36).slice(2)}`;
      const asked = nextAsked(mine, n);
      const leaver = n % 10 === 9 ? new AbortController() : undefined;
      if (leaver !== undefined) setTimeout(() => leaver.abort(), Math.random() * 6);
      if (n % 100 === 50) model.resets += 1;
      try {
        const answer = await ask(agent.port, {
          ...asked,
          agent: keepAlive,
          ...(leaver ? { signal: leaver.signal } : {}),
        });
        tally.answered += 1;
        const isBad = n % 3 === 2 && n % 5 === 0;
        if (answer.status === 502) tally.failed += 1;
        else if (isBad ? answer.status !== 400 : answer.status !== 200 || !isOwn(answer.body, asked, mine, n)) {
          mismatched.push(`${mine}: ${answer.status} ${answer.body.toString('latin1').slice(0, 200)}`);
        }
      } catch (error) {
        if (leaver === undefined) throw error;
        tally.cancelled += 1;
      }
    };
    const worker = async (): Promise<void> => {
      // oxlint-disable-next-line no-unmodified-loop-condition -- `one` counts it up
      while (nonce < 4000) await one();
    };
    await Promise.all(Array.from({ length: 64 }, worker));
    model.latencyMs = 0;
    model.resets = 0;
    keepAlive.destroy();
    expect(mismatched.slice(0, 5)).toEqual([]);
    expect(tally.answered + tally.cancelled).toBe(nonce);
    // It did batch, or the test shows nothing; and resets were felt, by more than nobody and less than many.
    const calls = model.calls.slice(before);
    expect(calls.some(({ items }) => items > 4)).toBe(true);
    expect(calls.length).toBeLessThan(0.8 * nonce);
    expect(tally.failed).toBeGreaterThan(0);
  });

  test('learns that a model works on the whole batch, without a wrong answer', async () => {
    for (const name of ['sum', 'miscount']) {
      model.latencyMs = 5;
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(agent.port, predict([i], name))));
      for (const [i, { body }] of answers.entries()) {
        expect(JSON.parse(body.toString())).toEqual({ predictions: name === 'sum' ? [1] : [i, null] });
      }
      const before = model.calls.length;
      await Promise.all(Array.from({ length: 20 }, (_, i) => ask(agent.port, predict([i], name))));
      expect(model.calls.slice(before).every(({ items }) => items === 1)).toBe(true);
    }
    model.latencyMs = 0;
    await agent.logged(/no longer batched/);
  });

  test('obeys its control port: bypass within 100 ms, settings at once, and says so on the metrics page', async () => {
    const control = toControl(agent);
    expect(await control('GET', '/ready')).toMatchObject({ isReady: true });
    await ask(agent.port, predict([1]));
    const status = await control('GET', '/v1/status');
    expect((status['models'] as { model: string }[]).map(({ model }) => model)).toContain('echo');

    const put = await control('PUT', '/v1/settings?model=echo&immediate=true', { batchSize: 1 });
    expect(put).toMatchObject({ model: 'echo', settings: { batchSize: 1 } });
    model.latencyMs = 5;
    const seen = model.calls.length;
    await Promise.all(Array.from({ length: 10 }, (_, i) => ask(agent.port, predict([i]))));
    expect(model.calls.slice(seen).map(({ items }) => items)).toEqual(Array(10).fill(1));
    await control('POST', '/v1/rollback?model=echo');

    // With the delay at a minute nothing would leave by itself: bypass must free it.
    await control('PUT', '/v1/policy', { sla: { p99Ms: 100_000, errorRate: 0.01 } });
    await control('PUT', '/v1/settings?model=echo&immediate=true', { batchSize: 64, batchDelayMs: 60_000 });
    const stuck = ask(agent.port, predict(['stuck']));
    await sleep(100);
    const startMs = performance.now();
    await control('POST', '/v1/bypass', { on: true });
    expect((await stuck).body.toString()).toBe('{"predictions":["stuck"]}');
    expect(performance.now() - startMs).toBeLessThan(100);
    expect((await ask(agent.port, predict([1]))).status).toBe(200);
    const page = (await ask(agent.metricsPort, get('/metrics'))).body.toString();
    expect(page).toMatch(/^morphling_bypass_active 1$/m);
    expect(page).toMatch(/^morphling_requests_total\{[^}]*outcome="bypass"[^}]*\} [1-9]/m);
    await control('POST', '/v1/bypass', { on: false });
    await control('POST', '/v1/rollback?model=echo');
    model.latencyMs = 0;
  });

  test('keeps the framing law', async () => {
    const client = await connectRaw(agent.port);
    client.write(
      'POST /v1/models/echo:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    expect(await client.closed()).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe('when something dies', () => {
  let model: ModelServer;
  let agent: AgentProcess;
  beforeAll(async () => {
    model = await startModelServer();
  });
  afterEach(async () => {
    await agent.stop('SIGKILL');
  });
  afterAll(async () => {
    await model.close();
  });

  /** Steady callers, each on a new connection, until told to stop; gives how long each waited, and what failed when. */
  function load(callers: number, paceMs: number): { stop(): Promise<{ waitsMs: number[]; failuresMs: number[] }> } {
    let isOn = true;
    const startMs = performance.now();
    const waitsMs: number[] = [];
    const failuresMs: number[] = [];
    const caller = async (): Promise<void> => {
      // oxlint-disable-next-line no-unmodified-loop-condition -- `stop` turns it off
      while (isOn) {
        const sentMs = performance.now();
        const ok = await ask(agent.port, predict([1])).then(
          ({ status }) => status === 200,
          () => false,
        );
        if (ok) waitsMs.push(performance.now() - sentMs);
        else failuresMs.push(sentMs - startMs);
        await sleep(paceMs);
      }
    };
    const callersDone = Promise.all(Array.from({ length: callers }, caller));
    return {
      async stop() {
        isOn = false;
        await callersDone;
        return { waitsMs, failuresMs };
      },
    };
  }

  test('the data process under load: only what was in flight may fail, and a second later all is well', async () => {
    agent = await startAgent(model.origin);
    const traffic = load(8, 5);
    await sleep(500);
    const pid = agent.pidOf('data');
    process.kill(pid ?? 0, 'SIGKILL');
    await sleep(1500);
    const { waitsMs, failuresMs } = await traffic.stop();
    expect(failuresMs.length).toBeLessThanOrEqual(8);
    expect(Math.max(...waitsMs)).toBeLessThan(1500);
    expect(agent.pidOf('data')).not.toBe(pid);
    expect(waitsMs.length).toBeGreaterThan(50);
  });

  test('the data process again and again: callers are joined to the model server itself', async () => {
    agent = await startAgent(model.origin);
    for (let i = 0; i < 3; i++) {
      const pid = agent.pidOf('data');
      expect(pid).not.toBeNull();
      process.kill(pid ?? 0, 'SIGKILL');
      if (i < 2)
        await expect
          .poll(() => agent.logs.filter((line) => line.includes('data ready')).length, { timeout: 5000 })
          .toBe(i + 2);
    }
    await agent.logged(/crashed too often/);
    expect(agent.pidOf('data')).toBeNull();
    for (let i = 0; i < 5; i++) {
      const { status, body } = await ask(agent.port, predict([i]));
      expect([status, body.toString()]).toEqual([200, `{"predictions":[${i}]}`]);
    }
    // Half-close and large bodies both ways, by bytes alone.
    const big = 'x'.repeat(3 << 20);
    expect((await ask(agent.port, post('/echo', big))).body.length).toBeGreaterThan(big.length);
    expect(await agent.stop()).toBe(0);
  });

  test('the data process: what people set and switched is still so', async () => {
    agent = await startAgent(model.origin);
    await ask(agent.port, predict([1]));
    await toControl(agent)('PUT', '/v1/settings?model=echo&immediate=true', { batchSize: 7, concurrency: 3 });
    await toControl(agent)('POST', '/v1/pause');
    await toControl(agent)('POST', '/v1/bypass', { on: true });
    await expect.poll(() => existsSync(join(agent.stateDir, 'switches.0')), { timeout: 5000 }).toBe(true);
    await sleep(100);
    process.kill(agent.pidOf('data') ?? 0, 'SIGKILL');
    await expect.poll(() => agent.logs.filter((line) => line.includes('data ready')).length, { timeout: 5000 }).toBe(2);
    expect(await toControl(agent)('GET', '/v1/status')).toMatchObject({ isPaused: true, isBypass: true });
    await toControl(agent)('POST', '/v1/bypass', { on: false });
    await ask(agent.port, predict([1]));
    expect(await toControl(agent)('GET', '/v1/settings')).toMatchObject({
      models: { echo: { settings: { batchSize: 7, concurrency: 3 }, source: 'restored' } },
    });
  });

  test('the mind: nobody notices', async () => {
    agent = await startAgent(model.origin, {
      policy: {
        ...(await import('../../src/core/policy.ts')).DEFAULT_POLICY,
        sampling: { intervalS: 1, burstIntervalS: 1 },
      },
    });
    const traffic = load(4, 5);
    await agent.logged(/mind started/);
    await sleep(1000);
    const pid = agent.pidOf('mind');
    expect(pid).not.toBeNull();
    process.kill(pid ?? 0, 'SIGKILL');
    await agent.logged(/mind ended/);
    await sleep(500);
    const { failuresMs, waitsMs } = await traffic.stop();
    expect(failuresMs).toEqual([]);
    expect(waitsMs.length).toBeGreaterThan(50);
  });

  test('the model server: callers are told at once, and served again as soon as it is back', async () => {
    const own = await startModelServer();
    agent = await startAgent(own.origin);
    expect((await ask(agent.port, predict([1]))).status).toBe(200);
    await own.close();
    for (let i = 0; i < 5; i++) {
      const sentMs = performance.now();
      const { status, headers } = await ask(agent.port, predict([1]));
      expect([502, 503]).toContain(status);
      expect(headers).toContain('x-morphling-error: upstream');
      expect(performance.now() - sentMs).toBeLessThan(250);
    }
    const again = await startModelServer(own.port);
    const status = async (): Promise<number> => (await ask(agent.port, predict([1]))).status;
    await expect.poll(status, { timeout: 1000, interval: 20 }).toBe(200);
    await again.close();
  });

  test('the supervisor: its children do not outlive it', async () => {
    agent = await startAgent(model.origin);
    const pid = agent.pidOf('data') ?? 0;
    await agent.stop('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false);
  });

  test('the supervisor while its children start: none is left behind, at whatever moment', async () => {
    const orphans: number[] = [];
    for (let i = 0; i < 8; i++) {
      agent = await startAgent(model.origin);
      // A second data process is on its way when the supervisor dies.
      process.kill(agent.pidOf('data') ?? 0, 'SIGKILL');
      await agent.logged(/"data ended"/);
      await sleep(20 + 60 * i);
      const pid = agent.pidOf('data');
      if (pid !== null) orphans.push(pid);
      await agent.stop('SIGKILL');
    }
    expect(orphans.length).toBeGreaterThan(4);
    await expect.poll(() => orphans.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('stopping', () => {
  test('loses no request: new ones are taken during the delay, running ones end, the exit code is 0', async () => {
    const model = await startModelServer();
    model.latencyMs = 400;
    const agent = await startAgent(model.origin, { drain: { delayMs: 500, timeoutMs: 3000 } });
    const keepAlive = new Agent({ keepAlive: true });
    const results: Promise<number>[] = [];
    const send = (): void =>
      void results.push(ask(agent.port, { ...predict([1]), agent: keepAlive }).then(({ status }) => status));
    send();
    await sleep(50);
    const stopped = agent.stop();
    for (let i = 0; i < 4; i++) {
      await sleep(100);
      send();
    }
    expect(await Promise.all(results)).toEqual([200, 200, 200, 200, 200]);
    expect(await stopped).toBe(0);
    keepAlive.destroy();
    await model.close();
  });

  test('a second signal shortens it', async () => {
    const model = await startModelServer();
    const agent = await startAgent(model.origin, { drain: { delayMs: 20_000, timeoutMs: 20_000 } });
    agent.supervisor.kill('SIGTERM');
    await agent.logged(/draining/);
    const startMs = performance.now();
    expect(await agent.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(3000);
    await model.close();
  });
});
