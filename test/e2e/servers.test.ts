// The real model servers by themselves, without the agent: what the other suites stand on. What a model answers here,
// it must answer through the agent too.
import { readFile, readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../support/skip.ts';
import { ensureEnvironment } from '../support/servers/environment.ts';
import { inferV2, inferV2Binary, predictV1, tensor } from '../support/servers/infer.ts';
import type { InferAnswer, Tensor } from '../support/servers/infer.ts';
import { startKserve } from '../support/servers/kserve.ts';
import { measureLatency, measuredInput } from '../support/servers/latency.ts';
import { MAGIKA_LABELS, toMagikaRow } from '../support/servers/magika-row.ts';
import { startMlserver } from '../support/servers/mlserver.ts';
import { runOfficialClient } from '../support/servers/official-clients.ts';
import type { OfficialClient } from '../support/servers/official-clients.ts';
import type { ModelName, ModelServer, ServerName } from '../support/servers/server.ts';
import { startTriton } from '../support/servers/triton.ts';

interface Suite {
  readonly name: ServerName;
  readonly start: typeof startTriton;
  /** The protocols in which its models answer. */
  readonly protocols: readonly ('v1' | 'v2' | 'v2-binary')[];
  /** The official clients that work with it as they are; the others fail on the server itself. */
  readonly clients: readonly OfficialClient[];
}

const SUITES: readonly Suite[] = [
  {
    name: 'mlserver',
    start: startMlserver,
    protocols: ['v2'],
    clients: ['tritonclient-http-json', 'tritonclient-grpc', 'kserve-v2-json', 'kserve-grpc'],
  },
  {
    name: 'kserve',
    start: startKserve,
    protocols: ['v1', 'v2', 'v2-binary'],
    clients: [
      'tritonclient-http',
      'tritonclient-http-aio',
      'tritonclient-grpc',
      'kserve-v1',
      'kserve-v2',
      'kserve-v2-json',
      'kserve-grpc',
    ],
  },
  {
    name: 'triton',
    start: startTriton,
    protocols: ['v2', 'v2-binary'],
    clients: [
      'tritonclient-http',
      'tritonclient-http-json',
      'tritonclient-http-gzip',
      'tritonclient-http-aio',
      'tritonclient-grpc',
      'kserve-v2',
      'kserve-v2-json',
      'kserve-grpc',
    ],
  },
];

/** The input of `measuredInput('mlp', …)` row by row gives this, on any server and numpy. */
const MLP_ROW = [0.4018716, -0.21602903, 0.33477908, -0.25045592, -0.00372106, -0.6540887, 0.6730908, -0.28958103];
const PYTHON = 'import os\n\n\ndef main():\n    print(os.getcwd())\n';
const JSON_TEXT = JSON.stringify({ name: 'a list', list: [1, 2, 3], nested: { deep: true } }, null, 2);
const FOURS = [
  tensor('x', 'FP32', [
    [1, 2, 3, 4],
    [10, 20, 30, 40],
  ]),
];

const clients = await ensureEnvironment('clients');

for (const suite of SUITES) {
  const environment = await ensureEnvironment(suite.name);
  describe.skipIf(environment.kind === 'missing')(titled(suite.name, environment), () => {
    let server: ModelServer;
    beforeAll(async () => {
      server = await suite.start();
    });
    afterAll(async () => {
      await server?.stop();
    });

    const asks = suite.protocols.filter((protocol) => protocol !== 'v1');
    describe.each(asks)('%s', (protocol) => {
      const ask = (
        model: ModelName,
        inputs: readonly Tensor[],
        members?: Record<string, unknown>,
      ): Promise<InferAnswer> =>
        (protocol === 'v2' ? inferV2 : inferV2Binary)(server.url, model, inputs, members ? { members } : {});

      test('echo gives back rows of any number and length, and the id', async () => {
        for (const rows of [[[1.5, -2]], [[0.25], [1e-3], [3e10]], Array.from({ length: 33 }, () => [1, 2, 3])]) {
          const sent = tensor('x', 'FP32', rows);
          const answer = await ask('echo', [sent], { id: 'one-of-mine' });
          expect(answer.outputs[0]).toMatchObject({ name: 'x', datatype: 'FP32', shape: sent.shape });
          expect(answer.outputs[0]?.data).toEqual(sent.data.map((v) => Math.fround(Number(v))));
          expect(answer.body).toMatchObject({ id: 'one-of-mine', model_name: 'echo' });
        }
      });

      test('pair keeps strings and every digit of a 64-bit integer, and counts the rows', async () => {
        const text = tensor('text', 'BYTES', [['grün'], ['a "quoted" one']]);
        const answer = await ask('pair', [text, tensor('count', 'INT64', [[9007199254740993n], [-1]])]);
        const byName = Object.fromEntries(answer.outputs.map((output) => [output.name, output]));
        expect(byName['text']).toMatchObject(text);
        expect(byName['rows']).toMatchObject({ datatype: 'INT32', shape: [2, 1], data: [2, 2] });
        if (protocol === 'v2') expect(answer.text).toMatch(/\[9007199254740993,\s*-1\]/);
        else expect(byName['count']?.data).toEqual([9007199254740993n, -1n]);
      });

      test('pair gives only the outputs that were asked for', async () => {
        const inputs = [tensor('text', 'BYTES', [['a']]), tensor('count', 'INT64', [[1]])];
        const outputs = [{ name: 'rows', parameters: { binary_data: protocol === 'v2-binary' } }];
        const answer = await ask('pair', inputs, { outputs });
        expect(answer.outputs.map(({ name, data }) => [name, data])).toEqual([['rows', [1]]]);
      });

      test('picky refuses the whole call with 400 for one bad row', async () => {
        expect(await ask('picky', FOURS)).toMatchObject({ status: 200, outputs: [{ shape: [2, 4] }] });
        const answer = await ask('picky', [
          tensor('x', 'FP32', [
            [1, 2, 3, 4],
            [-1, 2, 3, 4],
          ]),
        ]);
        expect(answer).toMatchObject({ status: 400, body: { error: 'the first value of a row must not be negative' } });
      });

      test('sum0 and sum0-open give one row, miscount one too many', async () => {
        const sum = { name: 'sum', shape: [1, 4], data: [11, 22, 33, 44] };
        expect((await ask('sum0', FOURS)).outputs).toMatchObject([sum]);
        expect((await ask('sum0-open', FOURS)).outputs).toMatchObject([sum]);
        expect((await ask('miscount', FOURS)).outputs).toMatchObject([{ name: 'x', shape: [3, 4] }]);
      });

      test('mlp gives the same row in a batch as alone', async () => {
        for (const batch of [1, 3, 32]) {
          const { outputs } = await ask('mlp', [measuredInput('mlp', batch)]);
          expect(outputs).toMatchObject([
            { name: 'y', shape: [batch, 8] },
            { name: 'rows', shape: [batch, 1] },
          ]);
          const expected = Array.from({ length: batch }, () => MLP_ROW).flat();
          expect(outputs[0]?.data).toEqual(expected.map((v) => expect.closeTo(v, 4)));
          expect(outputs[1]?.data).toEqual(Array(batch).fill(batch));
        }
      });

      test('magika tells Python from JSON', async () => {
        const rows = [PYTHON, JSON_TEXT].map(toMagikaRow);
        const { outputs } = await ask('magika', [tensor('bytes', 'INT32', rows)]);
        expect(outputs).toMatchObject([{ name: 'target_label', datatype: 'FP32', shape: [2, 214] }]);
        expect(topLabels(outputs[0])).toEqual([MAGIKA_LABELS.python, MAGIKA_LABELS.json]);
      });
    });

    if (suite.protocols.includes('v1')) {
      test('V1 answers a prediction an instance, whatever the instance', async () => {
        const v1 = async (model: ModelName, instances: unknown[]): Promise<readonly unknown[]> =>
          (await predictV1(server.url, model, instances)).predictions;
        const numbers = [[1.5], [3]];
        expect(await v1('echo', numbers)).toEqual(numbers);
        expect(await v1('pair', [{ text: 'grün', count: 7 }])).toEqual([{ text: ['grün'], count: [7], rows: [1] }]);
        expect(await v1('mlp', [Array(1024).fill(0)])).toEqual([{ y: Array(8).fill(0), rows: [1] }]);
        const scores = (await v1('magika', [toMagikaRow(PYTHON)])) as number[][];
        expect(scores[0]?.indexOf(Math.max(...(scores[0] ?? [])))).toBe(MAGIKA_LABELS.python);
        // the two that a merge would break, by their count
        const fours = [1, 2, 3, 4];
        expect(await v1('sum0', [fours, fours])).toEqual([[2, 4, 6, 8]]);
        expect(await v1('miscount', [fours])).toHaveLength(2);
        expect(await predictV1(server.url, 'picky', [[-1, 2, 3, 4]])).toMatchObject({ status: 400 });
      });
    }

    if (!suite.protocols.includes('v2-binary')) {
      test('it knows no binary tensors', async () => {
        const answer = await inferV2Binary(server.url, 'echo', FOURS);
        expect(answer.status).toBeGreaterThanOrEqual(400);
      });
    }

    test('metadata opens the first dimension of every model but sum0', async () => {
      const open = async (model: ModelName): Promise<boolean> => {
        const metadata = (await getJson(`${server.url}/v2/models/${model}`)) as { inputs: Tensor[]; outputs: Tensor[] };
        return [...metadata.inputs, ...metadata.outputs].every(({ shape }) => shape[0] === -1);
      };
      for (const model of ['echo', 'pair', 'picky', 'sum0-open', 'miscount', 'mlp', 'magika'] as const) {
        expect([model, await open(model)]).toEqual([model, true]);
      }
      expect(await open('sum0')).toBe(false);
    });

    if (suite.name === 'triton') {
      test('Triton batches nothing by itself', async () => {
        const config = (model: ModelName): Promise<unknown> => getJson(`${server.url}/v2/models/${model}/config`);
        expect(await config('mlp')).toMatchObject({ max_batch_size: 64, instance_group: [{ count: 1 }] });
        expect(await config('mlp')).not.toHaveProperty('dynamic_batching');
        for (const model of ['sum0', 'sum0-open', 'miscount'] as const) {
          expect(await config(model)).toMatchObject({ max_batch_size: 0 });
        }
        const tooMany = await inferV2Binary(server.url, 'mlp', [measuredInput('mlp', 65)]);
        expect(tooMany).toMatchObject({ status: 400 });
      });
    }

    describe.skipIf(clients.kind === 'missing')(titled('official clients', clients), () => {
      test.each(suite.clients)('%s', async (client) => {
        const url = client.endsWith('grpc') ? server.grpcUrl : server.url;
        const rows = Array.from({ length: 8 }, (_, i) => [tensor('x', 'FP32', [[i, 1, 2, 3]])]);
        const results = await runOfficialClient({ client, url, model: 'echo', requests: rows });
        const echoed = rows.map(([row]) => ({ outputs: [{ shape: row?.shape, data: row?.data }] }));
        expect(results).toMatchObject(echoed);
        const bad = [[tensor('x', 'FP32', [[-1, 1, 2, 3]])]];
        const [refusal] = await runOfficialClient({ client, url, model: 'picky', requests: bad });
        // of a refusal, KServe's REST client shows no more than the status where the server is not KServe
        expect(refusal).toMatchObject({ error: expect.stringMatching(/must not be negative|400 Bad Request/) });
      });
    });

    test('its metrics page is Prometheus text', async () => {
      const response = await fetch(server.metricsUrl);
      expect(response.status).toBe(200);
      expect(await response.text()).toMatch(/^# TYPE \w+ (counter|gauge|histogram)$/m);
    });

    test('it listens on loopback only', async ({ skip }) => {
      const outer = Object.values(networkInterfaces())
        .flat()
        .find((a) => a?.family === 'IPv4' && !a.internal);
      if (outer === undefined) return skip('this machine has only a loopback interface');
      const ports = [server.url, `http://${server.grpcUrl}`, server.metricsUrl].map((url) => Number(new URL(url).port));
      for (const port of ports) {
        expect([port, await accepts('127.0.0.1', port)]).toEqual([port, true]);
        expect([port, await accepts(outer.address, port)]).toEqual([port, false]);
      }
    });

    test('a batch of 32 through mlp takes less than 32 calls; magika is shown beside it', async () => {
      for (const model of ['mlp', 'magika'] as const) {
        const curve = [];
        for (const batch of [1, 8, 32]) curve.push(await measureLatency(server, model, batch, 500));
        const cells = curve.map(
          ({ batch, minMs, itemsPerS }) => `${batch}: ${minMs.toFixed(1)} ms, ${itemsPerS.toFixed(0)}/s`,
        );
        console.log(`${suite.name} ${model}, items a call: ${cells.join(' | ')}`);
        const [one, , batch] = curve;
        if (model === 'mlp') expect(batch?.medianMs).toBeLessThan(32 * (one?.medianMs ?? 0));
      }
    });

    test('it hangs when suspended, goes on when resumed, and is gone when killed', async () => {
      await using victim = await suite.start({ models: ['echo'] });
      const ready = `${victim.url}/v2/health/ready`;
      victim.suspend();
      await expect(fetch(ready, { signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/);
      victim.resume();
      expect((await fetch(ready)).status).toBe(200);
      await victim.kill9();
      expect(await accepts('127.0.0.1', Number(new URL(victim.url).port))).toBe(false);
      expect(await membersOf(victim.pid)).toEqual([]);
    });

    test('one that cannot start says why, in its own words', async () => {
      const start = suite.start({ models: ['nobody' as ModelName], readyTimeoutMs: 20_000 });
      await expect(start).rejects.toThrow(/(cannot be started|ended before it was ready)[^]*nobody/);
    });
  });
}

function topLabels(scores: Tensor | undefined): number[] {
  const values = (scores?.data ?? []) as number[];
  const width = scores?.shape[1] ?? 1;
  return Array.from({ length: values.length / width }, (_, row) => {
    const mine = values.slice(row * width, (row + 1) * width);
    return mine.indexOf(Math.max(...mine));
  });
}

async function getJson(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

/** The live processes of a group; a dead one that nobody has waited for yet does not count. */
async function membersOf(group: number): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(processes.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  return stats.filter((stat) => {
    // pid (name) state ppid pgrp …, where the name may hold anything: proc_pid_stat(5)
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(pgrp) === group && state !== 'Z';
  });
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    const end = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}
