// The first seconds of a V2 model: what comes before the model server has said whether it batches.
import { afterEach, describe, expect, test } from 'vitest';
import type { AgentConfig } from '../../../src/core/agent-config.ts';
import { startProxyBench, type ProxyBench } from '../../support/peers/proxy-bench.ts';
import { ask, type Asked } from '../../support/peers/http-ask.ts';
import { startRawUpstream, toAnswer, type RawUpstream, type SeenRequest } from '../../support/peers/raw-upstream.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

/** Real time on a machine that others use too. */
const BUSY = { retry: 2 };

interface Tensor {
  readonly shape: [number, number];
  readonly data: number[];
}

const METADATA = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
});

function infer(value: number, headers: readonly string[] = []): Asked {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [value] }];
  return {
    method: 'POST',
    path: '/v2/models/m/infer',
    headers: ['Content-Type', 'application/json', ...headers],
    body: JSON.stringify({ inputs }),
  };
}

function inputOf({ body }: SeenRequest): Tensor {
  return (JSON.parse(body.toString()) as { inputs: [Tensor] }).inputs[0];
}

const echo = (request: SeenRequest): void =>
  void request.socket.write(
    toAnswer(JSON.stringify({ model_name: 'm', outputs: [{ name: 'x', datatype: 'FP32', ...inputOf(request) }] })),
  );

interface Setup {
  readonly upstream: RawUpstream;
  readonly bench: ProxyBench;
  /** Sizes of the inference calls, in order. */
  readonly sizes: number[];
  /** Questions about the model, to be answered by the test. */
  readonly questions: SeenRequest[];
  /** Answers all questions, old and new, that the model batches. */
  readonly tell: () => void;
}

async function start(serve: (request: SeenRequest) => void = echo, change: Partial<AgentConfig> = {}): Promise<Setup> {
  const sizes: number[] = [];
  const questions: SeenRequest[] = [];
  let isTold = false;
  const answer = ({ socket, path }: SeenRequest): void => {
    socket.write(path.endsWith('/config') ? toAnswer('{}', '404 Not Found') : toAnswer(METADATA));
  };
  const upstream = await startRawUpstream((request) => {
    if (request.method === 'GET') {
      if (isTold) answer(request);
      else questions.push(request);
      return;
    }
    sizes.push(inputOf(request).shape[0]);
    serve(request);
  });
  const bench = await startProxyBench(upstream.origin, change);
  open.push(upstream, bench);
  return {
    upstream,
    bench,
    sizes,
    questions,
    tell: () => {
      isTold = true;
      for (const question of questions.splice(0)) answer(question);
    },
  };
}

const valueOf = (body: Buffer): number => (JSON.parse(body.toString()) as { outputs: [Tensor] }).outputs[0].data[0]!;

test('a cold agent under an immediate burst sheds nothing, and batches from the first call on', BUSY, async () => {
  // One call at a time, as a device: 40 ms and 1 ms an item. Alone, 24 a second; the burst is 85 a second.
  const line: (() => void)[] = [];
  let isBusy = false;
  const next = (): void => {
    const run = line.shift();
    isBusy = run !== undefined;
    run?.();
  };
  const { bench, sizes, questions, tell } = await start((request) => {
    const run = (): void => {
      setTimeout(
        () => {
          echo(request);
          next();
        },
        40 + inputOf(request).shape[0],
      );
    };
    line.push(run);
    if (!isBusy) next();
  });
  bench.setSla(1000);
  const answers: Promise<{ status: number; value: number }>[] = [];
  for (let n = 0; n < 170; n++) {
    answers.push(ask(bench.port, infer(n)).then(({ status, body }) => ({ status, value: valueOf(body) })));
    // A busy server takes its time to say what the model is.
    if (n === 4) {
      expect(questions.length).toBe(1);
      tell();
    }
    await new Promise((resolve) => setTimeout(resolve, 1000 / 85));
  }
  for (const [n, answer] of (await Promise.all(answers)).entries()) expect(answer).toEqual({ status: 200, value: n });
  expect(sizes[0]).toBeGreaterThanOrEqual(4);
  expect(bench.batches.every(({ reason }) => reason !== 'single')).toBe(true);
});

describe('a request that waits for the word on its model', () => {
  test('is seen as waiting, and goes on within 250 ms when the word does not come', async () => {
    const { bench, sizes } = await start();
    const sentMs = performance.now();
    const answers = [1, 2, 3].map((n) => ask(bench.port, infer(n)));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(3);
    expect(sizes).toEqual([]);
    expect((await Promise.all(answers)).map(({ status, body }) => [status, valueOf(body)])).toEqual([
      [200, 1],
      [200, 2],
      [200, 3],
    ]);
    expect(performance.now() - sentMs).toBeLessThan(400);
    // As nothing is known, alone; and whoever comes now does not wait again.
    expect(sizes).toEqual([1, 1, 1]);
    const laterMs = performance.now();
    expect((await ask(bench.port, infer(4))).status).toBe(200);
    expect(performance.now() - laterMs).toBeLessThan(100);
    expect(bench.proxy.load('m').queueDepth).toBe(0);
  });

  test(
    'spends no more than a quarter of its own time there, and does not send the others away with it',
    BUSY,
    async () => {
      const { bench, sizes, tell } = await start();
      const patient = ask(bench.port, infer(1));
      await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(1);
      const sentMs = performance.now();
      const hurried = await ask(bench.port, infer(2, ['X-Request-Timeout-Ms', '200']));
      expect([hurried.status, valueOf(hurried.body)]).toEqual([200, 2]);
      expect(performance.now() - sentMs).toBeLessThan(150);
      expect(sizes).toEqual([1]);
      tell();
      expect(valueOf((await patient).body)).toBe(1);
    },
  );

  test('that its caller gives up is never sent', async () => {
    const { bench, sizes, tell } = await start();
    const leaver = new AbortController();
    const left = ask(bench.port, { ...infer(1), signal: leaver.signal }).catch(() => 'left');
    const stays = ask(bench.port, infer(2));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(2);
    leaver.abort();
    expect(await left).toBe('left');
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(1);
    tell();
    expect(valueOf((await stays).body)).toBe(2);
    expect(sizes).toEqual([1]);
    expect(bench.completions.map(({ outcome }) => outcome).toSorted()).toEqual(['cancelled', 'ok']);
  });

  test.each([
    ['bypass is switched on', (bench: ProxyBench) => bench.proxy.setBypassed(true)],
    ['the agent drains', (bench: ProxyBench) => bench.proxy.drain()],
  ])('goes on at once when %s', async (_what, turn) => {
    const { bench, sizes } = await start();
    const answer = ask(bench.port, infer(1));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(1);
    const turnedMs = performance.now();
    turn(bench);
    expect((await answer).status).toBe(200);
    expect((await ask(bench.port, infer(2))).status).toBe(200);
    expect(performance.now() - turnedMs).toBeLessThan(100);
    expect(sizes).toEqual([1, 1]);
  });

  test('is refused when the agent no longer takes work', async () => {
    const { bench, sizes } = await start();
    const answer = ask(bench.port, infer(1));
    await expect.poll(() => bench.proxy.load('m').queueDepth).toBe(1);
    bench.proxy.close();
    expect((await answer).headers).toContain('x-morphling-error: draining');
    expect(sizes).toEqual([]);
  });

  test('does not wait where the word would change nothing', async () => {
    const { bench, sizes, questions } = await start(echo, { models: { m: { batchable: true } } });
    expect((await ask(bench.port, infer(1))).status).toBe(200);
    expect([sizes, questions.length]).toEqual([[1], 1]);
    const compressed = { ...infer(1), path: '/v2/models/n/infer', headers: ['Content-Encoding', 'gzip'] };
    expect((await ask(bench.port, compressed)).status).toBe(200);
    expect(bench.completions.every(({ queueMs }) => queueMs < 100)).toBe(true);
  });

  test('of a server that has no word for it goes on as soon as that is known', async () => {
    const { bench, questions } = await start();
    const answer = ask(bench.port, infer(1));
    for (const _path of ['config', 'metadata']) {
      await expect.poll(() => questions.length).toBe(1);
      questions.pop()!.socket.write(toAnswer('{}', '404 Not Found'));
    }
    expect((await answer).status).toBe(200);
    expect(bench.completions[0]!.queueMs).toBeLessThan(200);
  });
});
