// The faults of KServe's agent, as its users reported them or as its source shows them: each is a test that we lack it.
// kserve#N is https://github.com/kserve/kserve/issues/N; "batcher" is its pkg/batcher as read and tried in 2026.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batchesBetween } from '../support/agent-metrics.ts';
import { UNTUNED } from '../support/agent-servers.ts';
import { sendJson, startUpstream, type SeenCall, type Upstream } from '../support/agent-upstream.ts';
import { modelStatus, startAgent, until, type Agent } from '../support/agent.ts';
import { ask, type Answered, type Asked } from '../support/peers/http-ask.ts';
import { connectRaw } from '../support/peers/raw-client.ts';
import { findFreePorts } from '../support/servers/ports.ts';

const predict = (instances: string, headers: string[] = [], path = '/v1/models/m:predict'): Asked => ({
  method: 'POST',
  path,
  headers: ['Content-Type', 'application/json', ...headers],
  body: `{"instances":[${instances}]}`,
});
const infer = (i: number): Asked => ({
  method: 'POST',
  path: '/v2/models/m/infer',
  headers: ['Content-Type', 'application/json'],
  body: `{"id":"r${i}","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[${i},0.5]}]}`,
});

describe('an agent before a model server', () => {
  let upstream: Upstream;
  let agent: Agent;
  beforeAll(async () => {
    upstream = await startUpstream();
    agent = await startAgent(upstream.url, UNTUNED);
    await ask(agent.port, predict('0'));
    await until(
      async () => {
        await ask(agent.port, infer(0));
        return (await modelStatus(agent, 'm'))?.batching?.reason === 'metadata';
      },
      5000,
      () => 'V2 is not known to be batchable',
    );
  });
  afterAll(async () => {
    await agent.stop();
    await upstream.close();
  });
  beforeEach(async () => {
    upstream.latencyMs = 20;
    upstream.answer = null;
    await put({ batchSize: 64, batchDelayMs: 0, concurrency: 1 });
    upstream.calls.length = 0;
  });

  const put = (settings: object): Promise<unknown> =>
    agent.control('PUT', '/v1/settings?model=m&immediate=true', settings);
  const together = (asked: readonly Asked[]): Promise<Answered[]> =>
    Promise.all(asked.map((one) => ask(agent.port, one)));
  const counted = (count: number, toAsked: (i: number) => Asked): Asked[] =>
    Array.from({ length: count }, (_, i) => toAsked(i));
  const sizes = (): number[] => upstream.calls.map(({ items }) => items);

  test('kserve#2275: V2 requests are batched, and each caller keeps its id and its rows', async () => {
    const answers = await together(counted(24, infer));
    for (const [i, { status, body }] of answers.entries()) {
      expect([status, JSON.parse(body.toString())]).toMatchObject([
        200,
        { id: `r${i}`, outputs: [{ shape: [1, 2], data: [i, 0.5] }] },
      ]);
    }
    expect(Math.max(...sizes())).toBeGreaterThan(8);
    expect(sizes().reduce((sum, items) => sum + items, 0)).toBe(24);
  });

  test('kserve#1666: what is set takes effect, in the gauges and in what the model server sees', async () => {
    await put({ batchSize: 6, batchDelayMs: 80, concurrency: 3 });
    const gauge = async (name: string): Promise<number | null> => (await agent.metrics()).sum(name, { model: 'm' });
    expect(await gauge('morphling_config_batch_size_limit')).toBe(6);
    expect(await gauge('morphling_config_batch_timeout_seconds')).toBe(0.08);
    expect(await gauge('morphling_config_concurrency_limit')).toBe(3);
    const generation = await gauge('morphling_config_generation');
    // the delay: one alone waits for company, and no longer
    upstream.latencyMs = 0;
    const startMs = performance.now();
    await ask(agent.port, predict('1'));
    const waitedMs = performance.now() - startMs;
    expect(waitedMs).toBeGreaterThan(75);
    expect(waitedMs).toBeLessThan(400);
    // the size and the concurrency: thirty at once leave as sixes, three at a time
    upstream.latencyMs = 50;
    upstream.calls.length = 0;
    await together(counted(30, (i) => predict(String(i))));
    expect(sizes()).toEqual([6, 6, 6, 6, 6]);
    expect(Math.max(...upstream.calls.map(({ inflight }) => inflight))).toBe(3);
    await put({ batchDelayMs: 0 });
    expect(await gauge('morphling_config_generation')).toBe((generation ?? 0) + 1);
  });

  test('kserve#1666: by default nothing waits for company that does not come, least of all 5000 ms', async () => {
    upstream.latencyMs = 0;
    const startMs = performance.now();
    for (let i = 0; i < 10; i++) expect((await ask(agent.port, predict(String(i)))).status).toBe(200);
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  test('batcher: an idle agent uses next to no processor time', async () => {
    await sleep(500);
    const before = cpuMs(agent.pid);
    const startMs = performance.now();
    await sleep(4000);
    const share = (cpuMs(agent.pid) - before) / (performance.now() - startMs);
    console.log(`idle: ${(100 * share).toFixed(2)} % of a core, all processes of the agent together`);
    expect(share).toBeLessThan(0.03);
  });

  test('batcher: several batches are in flight where the settings say so', async () => {
    await put({ batchSize: 4, concurrency: 4 });
    await together(counted(32, (i) => predict(String(i))));
    expect(Math.max(...upstream.calls.map(({ inflight }) => inflight))).toBe(4);
  });

  test('batcher, BentoML#3710: no call is larger than the maximum, but for one request that is larger by itself', async () => {
    await put({ batchSize: 4, concurrency: 2 });
    const rows = (i: number): number => (i === 11 ? 9 : 1 + (i % 3));
    const instances = (i: number): string => Array.from({ length: rows(i) }, (_, at) => `[${i},${at}]`).join();
    const answers = await together(counted(40, (i) => predict(instances(i))));
    for (const [i, { body }] of answers.entries()) expect(body.toString()).toBe(`{"predictions":[${instances(i)}]}`);
    const large = upstream.calls.filter(({ items }) => items > 4);
    expect(large.map(({ body }) => body)).toEqual([`{"instances":[${instances(11)}]}`]);
    expect(sizes()).toContain(4);
  });

  test('batcher: every request goes to its own path, whoever came last', async () => {
    const paths = [
      '/v1/models/m:predict',
      '/v1/models/n:predict',
      '/v1/models/m/versions/2:predict',
      '/v1/models/m:predict?trace=1',
    ];
    const answers = await together(
      counted(40, (i) => predict(`"${paths[i % paths.length]}"`, [], paths[i % paths.length])),
    );
    expect(answers.map(({ body }) => body.toString())).toEqual(
      answers.map((_, i) => `{"predictions":["${paths[i % paths.length]}"]}`),
    );
    for (const { path, body } of upstream.calls) {
      const { instances } = JSON.parse(body) as { instances: string[] };
      expect(new Set(instances)).toEqual(new Set([path]));
    }
    expect(sizes().some((items) => items > 1)).toBe(true);
  });

  test('batcher: headers reach the model server, alone and in a batch, and none is made up', async () => {
    const sent = {
      Authorization: 'Bearer token-a',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'X-Tenant': 'blue',
      'User-Agent': 'caller/1.0',
      Accept: 'application/json',
    };
    const headers = Object.entries(sent).flat();
    const isKept = ({ headers: seen }: SeenCall): void =>
      expect(seen).toMatchObject({
        host: 'model',
        authorization: 'Bearer token-a',
        traceparent: sent.traceparent,
        'x-tenant': 'blue',
        'user-agent': 'caller/1.0',
        'content-type': 'application/json',
      });
    await ask(agent.port, predict('1', headers));
    await together(counted(12, (i) => predict(String(i), headers)));
    upstream.calls.forEach(isKept);
    expect(sizes().some((items) => items > 1)).toBe(true);
    for (const { headers: seen } of upstream.calls) expect(seen).not.toHaveProperty('x-forwarded-for');
  });

  test('batcher: an error of the model server is that error, never a 200 with a message', async () => {
    const refuse = (status: number, more: object): void => {
      upstream.answer = (_, response) => sendJson(response, status, `{"error":"code ${status}"}`, more);
    };
    for (const [status, more] of [
      [503, { 'retry-after': '7' }],
      [429, { 'retry-after': '3' }],
      [500, {}],
    ] as const) {
      refuse(status, more);
      upstream.calls.length = 0;
      for (const answer of await together(counted(12, (i) => predict(String(i))))) {
        expect([answer.status, answer.body.toString()]).toEqual([status, `{"error":"code ${status}"}`]);
        for (const [name, value] of Object.entries(more)) expect(answer.headers).toContain(`${name}: ${value}`);
        expect(answer.headers.some((line) => line.startsWith('x-morphling-error'))).toBe(false);
      }
      // Nobody was sent again: the server has just said that it is not well.
      expect(sizes().reduce((sum, items) => sum + items, 0)).toBe(12);
    }
  });

  test('batcher: keys beside instances are kept, and callers who differ in them are not mixed', async () => {
    const body = (i: number): string =>
      `{"signature_name":"s${i % 2}","instances":[${i}],"parameters":{"top_k":${i % 2},"seed":9007199254740993}}`;
    await together(counted(24, (i) => ({ ...predict(''), body: body(i) })));
    for (const { body: seen } of upstream.calls) {
      const { signature_name: name, instances } = JSON.parse(seen) as { signature_name: string; instances: number[] };
      expect(new Set(instances.map((i) => `s${i % 2}`))).toEqual(new Set([name]));
      expect(seen).toContain(`"parameters":{"top_k":${name.slice(1)},"seed":9007199254740993}}`);
    }
    expect(sizes().some((items) => items > 1)).toBe(true);
  });

  test('batcher: 9007199254740993 and its like come and go digit by digit', async () => {
    const numbers = [
      '9007199254740993',
      '-0.0',
      '1E400',
      '0.1000000000000000055511151231257827',
      '12345678901234567890',
    ];
    const answers = await together(counted(20, (i) => predict(numbers[i % numbers.length] ?? '')));
    expect(answers.map(({ body }) => body.toString())).toEqual(
      answers.map((_, i) => `{"predictions":[${numbers[i % numbers.length]}]}`),
    );
    expect(sizes().some((items) => items > 1)).toBe(true);
  });

  test('batcher: the answer has the content type and the headers of the model server, and no batchId', async () => {
    upstream.answer = ({ body }, response) =>
      sendJson(response, 200, body.replace('instances', 'predictions'), { 'x-model-build': '42' });
    for (const { headers, body } of await together(counted(12, (i) => predict(String(i))))) {
      expect(headers).toContain('content-type: application/json');
      expect(headers).toContain('x-model-build: 42');
      expect(body.toString()).not.toContain('batchId');
    }
    expect(sizes().some((items) => items > 1)).toBe(true);
  });

  test('batcher: there are metrics, and they agree with what the model server saw', async () => {
    const before = await agent.metrics();
    await together(counted(30, (i) => predict(String(i))));
    const after = await agent.metrics();
    const { calls, items } = batchesBetween(before, after, 'm');
    expect([calls, items]).toEqual([upstream.calls.length, 30]);
    for (const name of ['morphling_requests_total', 'morphling_queue_depth', 'morphling_queue_duration_seconds_count'])
      expect([name, after.sum(name, { model: 'm' })]).toEqual([name, expect.any(Number)]);
    expect(after.sum('morphling_batches_total', { reason: 'natural' })).toBeGreaterThan(0);
  });

  test('batcher: who hangs up is not computed for, in the queue or on the way', async () => {
    upstream.latencyMs = 300;
    const leaver = async (marker: string): Promise<() => void> => {
      const client = await connectRaw(agent.port);
      const body = `{"instances":["${marker}"]}`;
      client.write(
        `POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      return () => client.destroy();
    };
    const leaveOnTheWay = await leaver('on the way');
    await until(
      () => upstream.calls.length === 1,
      2000,
      () => 'no call',
    );
    const leaveQueue = await leaver('in the queue');
    await until(
      async () => ((await agent.metrics()).sum('morphling_queue_depth', { model: 'm' }) ?? 0) === 1,
      2000,
      () => 'not queued',
    );
    leaveQueue();
    leaveOnTheWay();
    // The call whose only caller left is broken off, and frees the place for the next.
    await until(
      () => upstream.calls[0]?.isAborted === true,
      250,
      () => 'the call goes on without a caller',
    );
    upstream.latencyMs = 0;
    expect((await ask(agent.port, predict('"next"'))).status).toBe(200);
    expect(upstream.calls.map(({ body }) => body)).toEqual(['{"instances":["on the way"]}', '{"instances":["next"]}']);
  });

  test('batcher: a request of several instances gets all of its predictions, in order, and no others', async () => {
    const instances = (i: number): string =>
      Array.from({ length: 1 + (i % 5) }, (_, at) => `{"v":[${i},${at}]}`).join();
    const answers = await together(counted(30, (i) => predict(instances(i))));
    for (const [i, { body }] of answers.entries()) expect(body.toString()).toBe(`{"predictions":[${instances(i)}]}`);
    expect(upstream.calls.length).toBeLessThan(15);
  });
});

describe('from its start to its end', () => {
  test('kserve#1666: bounds and policy of file and environment hold as well', async () => {
    await using upstream = await startUpstream();
    await using agent = await startAgent(upstream.url, {
      ...UNTUNED,
      config: { policy: { bounds: { batchSize: [1, 5] } } },
      env: { MORPHLING_BOUNDS_CONCURRENCY: '1,2', MORPHLING_SLA_P99_MS: '500' },
    });
    upstream.latencyMs = 20;
    await Promise.all(Array.from({ length: 40 }, (_, i) => ask(agent.port, predict(String(i)))));
    expect(Math.max(...upstream.calls.map(({ items }) => items))).toBe(5);
    const page = await agent.metrics();
    expect(page.sum('morphling_config_batch_size_limit', { model: 'm' })).toBe(5);
    expect(page.sum('morphling_slo_target_seconds', { model: 'm', assumed: 'false' })).toBe(0.5);
    await expect(agent.control('PUT', '/v1/settings?model=m&immediate=true', { concurrency: 3 })).rejects.toThrow(
      /concurrency.*1 to 2/,
    );
  });

  test('kserve#1536, kserve#2114: it listens where it is told and asks where it is told, nowhere else', async () => {
    const [upstreamPort = 0] = await findFreePorts(1);
    await using upstream = await startUpstream(upstreamPort);
    await using agent = await startAgent(upstream.url, UNTUNED);
    const toPort = (url: string): number => Number(new URL(url).port);
    const told = [agent.port, toPort(agent.controlUrl), toPort(agent.metricsUrl)].sort((a, b) => a - b);
    expect(listeningPorts(agent.pid)).toEqual(told);
    expect((await ask(agent.port, predict('1'))).status).toBe(200);
    expect(upstream.calls.length).toBe(1);
  });

  test('kserve#1124, kserve#5569: ready is what says so of both, the model and the agent', async () => {
    const [upstreamPort = 0] = await findFreePorts(1);
    await using agent = await startAgent(`http://127.0.0.1:${upstreamPort}`, UNTUNED);
    const probes = [`${agent.controlUrl}/ready`, agent.metricsUrl.replace('/metrics', '/ready')];
    const ready = (): Promise<number[]> => Promise.all(probes.map(async (url) => (await fetch(url)).status));
    const becomes = (status: number): Promise<void> =>
      until(
        async () => (await ready()).every((one) => one === status),
        4000,
        () => `not ${status}`,
      );
    // kserve#5569: no model yet. Connections are taken and answered, not refused.
    expect(await ready()).toEqual([503, 503]);
    const early = await ask(agent.port, predict('1'));
    expect([early.status, early.headers.some((line) => line.startsWith('retry-after:'))]).toEqual([503, true]);
    expect(early.headers).toContain('x-morphling-error: upstream');
    // kserve#1124: a model server that is up, and loads its model still
    await using upstream = await startUpstream(upstreamPort);
    upstream.isReady = false;
    await sleep(1200);
    expect(await ready()).toEqual([503, 503]);
    upstream.isReady = true;
    await becomes(200);
    expect((await ask(agent.port, predict('1'))).status).toBe(200);
    upstream.isReady = false;
    await becomes(503);
    upstream.isReady = true;
    await becomes(200);
    await upstream.close();
    await becomes(503);
  });

  test('batcher: with the model server gone it is a 503 that says when to come again, in V1 and V2', async () => {
    const upstream = await startUpstream();
    await using agent = await startAgent(upstream.url, UNTUNED);
    expect((await ask(agent.port, predict('1'))).status).toBe(200);
    await upstream.close();
    for (const asked of [predict('1'), infer(1), predict('1'), infer(1)]) {
      const { status, headers, body } = await ask(agent.port, asked);
      expect([502, 503]).toContain(status);
      if (status === 503) expect(headers.some((line) => line.startsWith('retry-after:'))).toBe(true);
      expect(headers).toContain('x-morphling-error: upstream');
      expect(JSON.parse(body.toString())).toMatchObject({ error: expect.any(String) });
      expect(body.toString()).not.toContain('predictions');
    }
  });
});

/** The process and all below it. */
function tree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const found = [root];
  for (const pid of found) for (const [child, parent] of parents) if (parent === pid) found.push(child);
  return found;
}

/** Processor time of the process and all below it; USER_HZ is 100. */
function cpuMs(root: number): number {
  return tree(root).reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sum + 10 * (Number(fields[11]) + Number(fields[12]));
  }, 0);
}

/** Ports on which the process or one below it listens, sorted: sockets of /proc/PID/fd looked up in /proc/net/tcp. */
function listeningPorts(root: number): number[] {
  const inodes = new Set<string>();
  for (const pid of tree(root)) {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        if (inode !== undefined) inodes.add(inode);
      } catch {
        // Closed while we looked.
      }
    }
  }
  const ports = new Set<number>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(file, 'utf8').split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      if (state === '0A' && inodes.has(inode)) ports.add(Number.parseInt(local.split(':')[1] ?? '', 16));
    }
  }
  return [...ports].sort((a, b) => a - b);
}
