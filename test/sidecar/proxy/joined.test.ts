// Joined calls: who may share one, what it says, what each caller gets back, and what happens when it goes wrong.
import { afterEach, describe, expect, test } from 'vitest';
import type { AgentConfig } from '../../../src/core/agent-config.ts';
import { connectRaw, type RawClient } from '../../support/peers/raw-client.ts';
import { startProxyBench, type ProxyBench } from '../../support/peers/proxy-bench.ts';
import { startRawUpstream, toAnswer, type RawUpstream, type SeenRequest } from '../../support/peers/raw-upstream.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

interface Setup {
  readonly upstream: RawUpstream;
  readonly bench: ProxyBench;
  /** Calls that wait for `release`. */
  readonly calls: SeenRequest[];
}

/** The first call is held by the test, so that what comes meanwhile forms one batch behind it. */
async function start(answer: (request: SeenRequest) => void, change: Partial<AgentConfig> = {}): Promise<Setup> {
  const calls: SeenRequest[] = [];
  const upstream = await startRawUpstream((request) => {
    if (request.path.includes('/hold')) calls.push(request);
    else answer(request);
  });
  const bench = await startProxyBench(upstream.origin, change);
  open.push(upstream, bench);
  return { upstream, bench, calls };
}

function instances(request: SeenRequest): unknown[] {
  return (JSON.parse(request.body.toString()) as { instances: unknown[] }).instances;
}

const echo = (request: SeenRequest): void =>
  void request.socket.write(toAnswer(JSON.stringify({ predictions: instances(request) })));

async function predict(port: number, body: string, lines = '', path = '/v1/models/m:predict'): Promise<RawClient> {
  const client = await connectRaw(port);
  const type = /^content-type:/im.test(lines) ? '' : 'Content-Type: application/json\r\n';
  const head = `POST ${path} HTTP/1.1\r\nHost: m\r\n${type}${lines}`;
  client.write(Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`));
  return client;
}

/** Occupies the model's one place, queues the requests, frees the place; gives every answer in order. */
async function together(
  setup: Setup,
  requests: readonly (readonly [body: string, lines?: string])[],
): Promise<string[]> {
  const { bench, calls } = setup;
  const blocker = await predict(bench.port, '{"instances":[0]}', '', '/v1/models/m:predict?/hold');
  await expect.poll(() => calls.length).toBe(1);
  const clients: RawClient[] = [];
  for (const [i, [body, lines]] of requests.entries()) {
    clients.push(await predict(bench.port, body, lines));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(i + 1);
  }
  echo(calls[0]!);
  const answers = await Promise.all(clients.map((client) => client.until(/^HTTP[^]*\r\n\r\n[^]*$/)));
  for (const client of [blocker, ...clients]) client.destroy();
  calls.splice(0);
  return answers;
}

const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const statusOf = (answer: string): number => Number(answer.slice(9, 12));

test('what waits behind a busy engine goes in one call, and each caller gets its own part', async () => {
  const setup = await start(echo);
  const answers = await together(setup, [
    ['{"instances":["a"]}'],
    ['{"instances":["b","c"]}'],
    ['{"instances":["ä"]}'],
  ]);
  expect(
    answers
      .map(bodyOf)
      .map((body) => (JSON.parse(Buffer.from(body, 'latin1').toString()) as { predictions: unknown }).predictions),
  ).toEqual([['a'], ['b', 'c'], ['ä']]);
  expect(setup.upstream.requests.map(instances)).toEqual([[0], ['a', 'b', 'c', 'ä']]);
  expect(setup.bench.batches.map(({ requests, items, ending }) => [requests, items, ending])).toEqual([
    [1, 1, 'success'],
    [3, 4, 'success'],
  ]);
});

test('a joined call says what all members say, asks for a plain answer, and carries one trace', async () => {
  const setup = await start(echo);
  const mine = (n: number): string =>
    `X-Team: blue\r\nX-User: ${n}\r\nAccept-Encoding: gzip\r\ntraceparent: 00-${n}\r\nX-Request-Id: id-${n}\r\n`;
  await together(setup, [
    ['{"instances":[1]}', mine(1)],
    ['{"instances":[2]}', mine(2)],
  ]);
  const head = setup.upstream.requests[1]?.head ?? '';
  expect(head).toContain('X-Team: blue');
  expect(head).not.toContain('X-User');
  expect(head.match(/^accept-encoding:.*$/gim)).toEqual(['accept-encoding: identity']);
  expect(head.match(/^content-type:.*$/gim)).toHaveLength(1);
  expect(head).toContain('traceparent: 00-1');
  expect(head).toContain('x-request-id: id-1');
});

test('a joined call has the content type of its members, or none if they gave none', async () => {
  const setup = await start(echo);
  for (const [lines, expected] of [
    ['Content-Type: text/plain\r\n', ['Content-Type: text/plain']],
    // Empty for `predict` to send none; an empty value is none to the model server as well.
    ['Content-Type:\r\n', null],
  ] as const) {
    await together(setup, [
      ['{"instances":[1]}', lines],
      ['{"instances":[2]}', lines],
    ]);
    const head = setup.upstream.requests.at(-1)?.head ?? '';
    const types = head.match(/^content-type: *\S*$/gim);
    if (expected === null) expect(types?.join('') ?? '').not.toContain('json');
    else expect(types).toEqual(expected);
  }
});

describe('requests that differ in what matters never share a call', () => {
  test.each([
    ['Authorization', 'Authorization: Bearer a\r\n', 'Authorization: Bearer b\r\n'],
    ['a missing Authorization', 'Authorization: Bearer a\r\n', ''],
    ['a second Authorization', 'Authorization: a\r\n', 'Authorization: a\r\nAuthorization: b\r\n'],
    ['Cookie', 'Cookie: a=1\r\n', 'Cookie: a=2\r\n'],
    ['Accept', 'Accept: a/b\r\n', 'Accept: c/d\r\n'],
    ['priority', 'X-Morphling-Priority: 1\r\n', 'X-Morphling-Priority: 2\r\n'],
    ['a configured header', 'X-Tenant: a\r\n', 'x-tenant: b\r\n'],
  ])('%s', async (_what, first, second) => {
    const setup = await start(echo, { batch: { keyHeaders: ['X-Tenant'] } });
    await together(setup, [
      ['{"instances":[1]}', first],
      ['{"instances":[2]}', second],
    ]);
    expect(setup.upstream.requests.map((request) => String(instances(request))).sort()).toEqual(['0', '1', '2']);
  });

  test('a compressed body goes alone and as it is', async () => {
    const setup = await start(({ socket, body }) => socket.write(toAnswer(body)));
    const answers = await together(setup, [
      ['not really gzip', 'Content-Encoding: gzip\r\n'],
      ['not really gzip', 'Content-Encoding: gzip\r\n'],
    ]);
    expect(answers.map(bodyOf)).toEqual(['not really gzip', 'not really gzip']);
  });

  test('a body that is no request is left to the model server to judge', async () => {
    const setup = await start(({ socket, body }) => socket.write(toAnswer(body, '400 Bad Request')));
    const answers = await together(setup, [['{"instances":'], ['[]'], ['']]);
    expect(answers.map(bodyOf)).toEqual(['{"instances":', '[]', '']);
    expect(answers.map(statusOf)).toEqual([400, 400, 400]);
  });
});

describe('when the model server refuses a joined call', () => {
  const picky =
    (status: string) =>
    (request: SeenRequest): void => {
      if (instances(request).includes(-1)) request.socket.write(toAnswer('{"error":"bad"}', status));
      else echo(request);
    };

  test.each(['400 Bad Request', '422 Unprocessable'])('with %s, each member is sent once alone', async (status) => {
    const setup = await start(picky(status));
    const answers = await together(setup, [['{"instances":[1]}'], ['{"instances":[-1]}'], ['{"instances":[3]}']]);
    expect(answers.map(statusOf)).toEqual([200, Number(status.slice(0, 3)), 200]);
    expect(bodyOf(answers[2]!)).toBe('{"predictions":[3]}');
    expect(setup.upstream.requests.map(instances)).toEqual([[0], [1, -1, 3], [1], [-1], [3]]);
    // It still batches: one bad request is no reason not to.
    expect(setup.bench.proxy.batchability.look('v1', 'm', null).isBatchable).toBe(true);
  });

  test('one bad member in a large batch costs few calls, and the others keep each other company', async () => {
    const setup = await start(picky('400 Bad Request'));
    const bodies = Array.from({ length: 32 }, (_, i) => [`{"instances":[${i === 19 ? -1 : i}]}`] as const);
    const answers = await together(setup, bodies);
    answers.forEach((answer, i) => {
      expect([i, statusOf(answer)]).toEqual([i, i === 19 ? 400 : 200]);
      if (i !== 19) expect(bodyOf(answer)).toBe(`{"predictions":[${i}]}`);
    });
    // Refused: 32, 16 (16..31), 8 (16..23), 4 (16..19); served: 16, 8, 4 and what is sent alone.
    expect(setup.upstream.requests.slice(1).map((request) => instances(request).length)).toEqual([
      32, 16, 16, 8, 4, 1, 1, 1, 1, 4, 8,
    ]);
    // Each call is reported as itself, and the place is free again.
    expect(setup.bench.batches).toHaveLength(12);
    await expect.poll(() => setup.bench.proxy.load('m').inflight).toBe(0);
  });

  test('a caller who leaves meanwhile is not sent again, and one whose time is up is told so', async () => {
    const held: SeenRequest[] = [];
    const setup = await start((request) => {
      if (instances(request).length > 4) request.socket.write(toAnswer('{"error":"bad"}', '400 Bad Request'));
      else held.push(request);
    });
    const { bench, calls } = setup;
    const blocker = await predict(bench.port, '{"instances":[0]}', '', '/v1/models/m:predict?/hold');
    await expect.poll(() => calls.length).toBe(1);
    const clients: RawClient[] = [];
    for (let i = 0; i < 8; i++) {
      clients.push(await predict(bench.port, `{"instances":[${i}]}`, i === 7 ? 'X-Request-Timeout-Ms: 900\r\n' : ''));
      await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(i + 1);
    }
    echo(calls[0]!);
    await expect.poll(() => held.length).toBe(1);
    // The first half is on its way; two of the second leave, and the last one's time is up.
    clients[4]!.destroy();
    clients[5]!.destroy();
    expect(await clients[7]!.until(/^HTTP[^]*\r\n\r\n[^]*$/)).toMatch(/^HTTP\/1.1 504 /);
    echo(held[0]!);
    await expect.poll(() => held.length).toBe(2);
    expect(held.map(instances)).toEqual([[0, 1, 2, 3], [6]]);
    echo(held[1]!);
    expect(bodyOf(await clients[6]!.until(/predictions/))).toBe('{"predictions":[6]}');
    await expect.poll(() => bench.proxy.load('m').inflight).toBe(0);
    for (const client of [blocker, ...clients]) client.destroy();
  });

  test('a half that then fails takes nobody of the other half with it', async () => {
    const setup = await start((request) => {
      const values = instances(request);
      if (values.length > 4) request.socket.write(toAnswer('{"error":"bad"}', '400 Bad Request'));
      else if (values.includes(0) && values.length > 1) request.socket.destroy();
      else echo(request);
    });
    const answers = await together(
      setup,
      Array.from({ length: 8 }, (_, i) => [`{"instances":[${i}]}`] as const),
    );
    expect(answers.map(statusOf)).toEqual([502, 502, 502, 502, 200, 200, 200, 200]);
  });

  test.each(['500 Internal', '503 Busy', '429 Too Many'])(
    'with %s, all get that answer and nothing is repeated',
    async (status) => {
      const setup = await start(picky(status));
      const answers = await together(setup, [['{"instances":[1]}'], ['{"instances":[-1]}']]);
      expect(answers.map(statusOf)).toEqual([Number(status.slice(0, 3)), Number(status.slice(0, 3))]);
      expect(answers.map(bodyOf)).toEqual(['{"error":"bad"}', '{"error":"bad"}']);
      expect(setup.upstream.requests).toHaveLength(2);
    },
  );

  test('by breaking off, all get 502 and nothing is repeated', async () => {
    const setup = await start(({ socket }) => socket.destroy());
    const answers = await together(setup, [['{"instances":[1]}'], ['{"instances":[2]}']]);
    expect(answers.map(statusOf)).toEqual([502, 502]);
    expect(setup.upstream.requests).toHaveLength(2);
  });

  test('by breaking off inside the body, all get 502', async () => {
    const setup = await start(({ socket }) =>
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"predictions":[1,'),
    );
    const answers = await together(setup, [['{"instances":[1]}'], ['{"instances":[2]}']]);
    expect(answers.map(statusOf)).toEqual([502, 502]);
    expect(setup.upstream.requests).toHaveLength(2);
  });
});

describe('a model that does not work item by item', () => {
  const answers: readonly (readonly [string, (request: SeenRequest) => Buffer])[] = [
    ['sums over its input', (request) => toAnswer(JSON.stringify({ predictions: [instances(request).length] }))],
    ['answers one too many', (request) => toAnswer(JSON.stringify({ predictions: [...instances(request), 'x'] }))],
    ['answers in another shape', (request) => toAnswer(JSON.stringify({ sum: instances(request).length }))],
    [
      'answers 201 to several',
      (request) =>
        toAnswer(
          JSON.stringify({ predictions: instances(request) }),
          instances(request).length > 1 ? '201 Made' : '200 OK',
        ),
    ],
    ['compresses what should be plain', () => toAnswer('zzz', '200 OK', ['Content-Encoding: gzip'])],
  ];
  test.each(answers)('%s: each is sent alone, it is marked, and batched no more', async (_what, answer) => {
    const setup = await start((request) => void request.socket.write(answer(request)));
    const alone = (body: string): string => bodyOf(answer({ body: Buffer.from(body) } as SeenRequest).toString());
    const bodies = ['{"instances":[1]}', '{"instances":[2]}'];
    const first = await together(
      setup,
      bodies.map((body) => [body] as const),
    );
    expect(first.map(bodyOf)).toEqual(bodies.map(alone));
    expect(setup.upstream.requests.map(instances)).toEqual([[0], [1, 2], [1], [2]]);
    const word = setup.bench.proxy.batchability.look('v1', 'm', null);
    expect(word.isBatchable).toBe(false);
    expect(setup.bench.logs.join()).toContain('no longer batched');
    await together(
      setup,
      bodies.map((body) => [body] as const),
    );
    expect(setup.upstream.requests.slice(4).map(instances)).toEqual([[0], [1], [2]]);
  });
});

test('cookies of a joined answer are nobody’s; its other headers are everybody’s', async () => {
  const setup = await start((request) =>
    request.socket.write(
      toAnswer(JSON.stringify({ predictions: instances(request) }), '200 Fine', [
        'Set-Cookie: secret',
        'X-Odd: 1',
        'ETag: "x"',
        'Date: then',
      ]),
    ),
  );
  const [first, second] = await together(setup, [['{"instances":[1]}'], ['{"instances":[2]}']]);
  for (const answer of [first!, second!]) {
    expect(answer).toMatch(/^HTTP\/1.1 200 Fine\r\n/);
    expect(answer).toContain('X-Odd: 1');
    expect(answer.match(/^date:.*$/gim)).toEqual(['Date: then']);
    expect(answer).not.toMatch(/secret|etag/i);
  }
});

describe('callers who leave', () => {
  test('before the call are not in it', async () => {
    const setup = await start(echo);
    const { bench, calls, upstream } = setup;
    const blocker = await predict(bench.port, '{"instances":[0]}', '', '/v1/models/m:predict?/hold');
    await expect.poll(() => calls.length).toBe(1);
    const clients = await Promise.all([1, 2, 3].map((n) => predict(bench.port, `{"instances":[${n}]}`)));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(3);
    clients[1]?.destroy();
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(2);
    echo(calls[0]!);
    await clients[2]?.until(/predictions/);
    expect(upstream.requests.map(instances)[1]?.sort()).toEqual([1, 3]);
    for (const client of [blocker, ...clients]) client.destroy();
  });

  test('during the call leave it to the others; when all have left it is aborted', async () => {
    const joined: SeenRequest[] = [];
    const setup = await start((request) => void joined.push(request));
    const { bench, calls, upstream } = setup;
    for (const leaving of [[1], [0, 1, 2]]) {
      const blocker = await predict(bench.port, '{"instances":[0]}', '', '/v1/models/m:predict?/hold');
      await expect.poll(() => calls.length).toBe(1);
      const clients = await Promise.all([1, 2, 3].map((n) => predict(bench.port, `{"instances":[${n}]}`)));
      await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(3);
      echo(calls.pop()!);
      await expect.poll(() => joined.length).toBe(1);
      const call = joined.pop()!;
      for (const i of leaving) clients[i]?.destroy();
      if (leaving.length === 3) await expect.poll(() => upstream.sockets.has(call.socket)).toBe(false);
      else {
        await new Promise((resolve) => setTimeout(resolve, 50));
        echo(call);
        await clients[0]?.until(/predictions/);
        await clients[2]?.until(/predictions/);
      }
      await expect.poll(() => bench.proxy.load('m')).toMatchObject({ queueDepth: 0, inflight: 0 });
      for (const client of [blocker, ...clients]) client.destroy();
    }
    expect(bench.batches.at(-1)).toMatchObject({ requests: 3, ending: 'ignored' });
  });
});

describe('deadlines', () => {
  test.each([
    ['x-request-timeout-ms', (ms: number) => `X-Request-Timeout-Ms: ${ms}\r\n`],
    ['grpc-timeout', (ms: number) => `grpc-timeout: ${ms}m\r\n`],
  ])('%s ends a request that waits, and one that was sent, with 504', async (_what, toLine) => {
    const setup = await start(echo);
    const { bench, calls, upstream } = setup;
    const sent = await predict(bench.port, '{"instances":[0]}', toLine(300), '/v1/models/m:predict?/hold');
    await expect.poll(() => calls.length).toBe(1);
    const waiting = await predict(bench.port, '{"instances":[1]}', toLine(80));
    for (const client of [sent, waiting]) {
      expect(await client.until(/\r\n\r\n\{/)).toMatch(/^HTTP\/1.1 504 [^]*x-morphling-error: timeout/);
      client.destroy();
    }
    // Nobody waits for the call any more, so it is aborted; the other was never made.
    await expect.poll(() => upstream.sockets.size).toBe(0);
    expect(upstream.requests).toHaveLength(1);
    expect(bench.completions.map(({ outcome, ending }) => `${outcome} ${ending}`)).toEqual([
      'timeout dropped',
      'timeout dropped',
    ]);
  });

  test('what is left of it is passed on', async () => {
    const setup = await start(echo);
    const client = await predict(setup.bench.port, '{"instances":[0]}', 'X-Request-Timeout-Ms: 5000\r\n');
    await client.until(/predictions/);
    const left = Number(setup.upstream.requests[0]?.headers['x-request-timeout-ms']);
    expect(left).toBeGreaterThan(4000);
    expect(left).toBeLessThanOrEqual(5000);
    client.destroy();
  });
});

test('a full queue sheds with 503, a whole number of seconds, and the caller’s own error form', async () => {
  const setup = await start(echo, {});
  const { calls } = setup;
  const small = await startProxyBench(setup.upstream.origin, {
    limits: { bodyBytes: 1000, queueRequests: 1, concurrency: 64, connections: 100, upstreamTimeoutMs: 5000 },
  });
  open.push(small);
  const blocker = await predict(small.port, '{"instances":[0]}', '', '/v1/models/m:predict?/hold');
  await expect.poll(() => calls.length).toBe(1);
  const waiting = await predict(small.port, '{"instances":[1]}');
  await expect.poll(() => small.proxy.load('m').queueDepth).toBe(1);
  const shed = await predict(small.port, '{"instances":[2]}');
  const answer = await shed.until(/\r\n\r\n\{.*\}/);
  expect(answer).toMatch(/^HTTP\/1.1 503 [^]*x-morphling-error: shed\r\nretry-after: [1-9]\d*\r\n/);
  expect(JSON.parse(bodyOf(answer))).toMatchObject({ error: expect.stringContaining('overloaded') });
  expect(small.completions).toMatchObject([{ outcome: 'shed', ending: 'dropped', code: 503 }]);
  for (const client of [blocker, waiting, shed]) client.destroy();
});

test('bypass sends what waits at once, batches nothing more, and keeps the framing law', async () => {
  const setup = await start(echo);
  const { bench, calls, upstream } = setup;
  const blocker = await predict(bench.port, '{"instances":[0]}', '', '/v1/models/m:predict?/hold');
  await expect.poll(() => calls.length).toBe(1);
  const waiting = await Promise.all([1, 2].map((n) => predict(bench.port, `{"instances":[${n}]}`)));
  await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(2);
  bench.proxy.setBypassed(true);
  for (const client of waiting) await client.until(/predictions/);
  const later = await predict(bench.port, '{"instances":[3]}');
  await later.until(/predictions/);
  expect(upstream.requests.map((request) => String(instances(request))).sort()).toEqual(['0', '1', '2', '3']);
  expect(bench.completions.at(-1)).toMatchObject({ outcome: 'bypass', ending: 'success', code: 200, items: 1 });
  const bad = await predict(bench.port, 'x', 'Transfer-Encoding: chunked\r\n');
  expect(await bad.closed()).toMatch(/^HTTP\/1.1 400 /);
  bench.proxy.setBypassed(false);
  for (const client of [blocker, ...waiting, later]) client.destroy();
});

test('draining flushes a batch that waits for company and closes each connection with its answer', async () => {
  const setup = await start(echo);
  setup.bench.set({ batchDelayMs: 60_000 });
  const client = await predict(setup.bench.port, '{"instances":[1]}');
  await expect.poll(() => setup.bench.proxy.load('m').queueDepth).toBe(1);
  setup.bench.proxy.drain();
  expect(await client.closed()).toMatch(/^HTTP\/1.1 200 [^]*Connection: close/);
  const later = await predict(setup.bench.port, '{"instances":[2]}');
  expect(await later.closed()).toMatch(/^HTTP\/1.1 200 [^]*Connection: close[^]*\{"predictions":\[2\]\}$/);
});

test('a delay holds a batch for company until it is due', async () => {
  const setup = await start(echo);
  setup.bench.set({ batchDelayMs: 150 });
  const clients = await Promise.all([1, 2, 3].map((n) => predict(setup.bench.port, `{"instances":[${n}]}`)));
  for (const client of clients) await client.until(/predictions/);
  expect(setup.upstream.requests).toHaveLength(1);
  expect(setup.bench.batches).toMatchObject([{ reason: 'timeout', requests: 3 }]);
  const waited = setup.bench.completions.map(({ queueMs }) => queueMs);
  expect(Math.max(...waited)).toBeGreaterThanOrEqual(149);
  for (const client of clients) client.destroy();
});
