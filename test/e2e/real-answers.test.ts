// The promise that everything else stands on: what comes through the agent, batched, is what the server itself answers.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { runMany, testScale } from '../support/agent-load.ts';
import { batchesBetween } from '../support/agent-metrics.ts';
import { REAL_SERVERS, startAgentBefore } from '../support/agent-servers.ts';
import type { Agent } from '../support/agent.ts';
import { ensureEnvironment } from '../support/servers/environment.ts';
import { inferV2, tensor, type Tensor } from '../support/servers/infer.ts';
import {
  askMixed,
  findDifference,
  nextRequest,
  toCompany,
  toCompared,
  type MixedRequest,
} from '../support/servers/mixed-requests.ts';
import type { ModelName, ModelServer } from '../support/servers/server.ts';
import { titled } from '../support/skip.ts';

const MODELS: readonly ModelName[] = ['echo', 'pair', 'mlp', 'magika', 'picky'];
const REQUESTS = Math.round(10_000 * testScale());
const CALLERS = 32;

for (const suite of REAL_SERVERS) {
  const environment = await ensureEnvironment(suite.name);
  describe.skipIf(environment.kind === 'missing')(titled(`through the agent to ${suite.name}`, environment), () => {
    let server: ModelServer;
    let agent: Agent;
    beforeAll(async () => {
      server = await suite.start({ models: MODELS });
      agent = await startAgentBefore(server, MODELS);
    });
    afterAll(async () => {
      await agent?.stop();
      await server?.kill9();
    });

    test(`${REQUESTS} requests of ${CALLERS} callers at once get the answers they get alone`, async () => {
      const random = createRandom(11);
      const requests = Array.from({ length: REQUESTS }, (_, index) => nextRequest(random, suite.protocols, index));
      // First alone, one after another a model, straight from the server: nothing can have been merged there.
      const expected = new Map<string, ReturnType<typeof toCompared>>();
      await runMany(REQUESTS, 4, async (index) => {
        const request = requests[index]!;
        const answer = await askMixed(server.url, request);
        expected.set(request.id, toCompared(request, answer));
        const company = toCompany(request, answer);
        if (company !== null) expect(company).toBe(request.instances.length);
      });

      const before = await agent.metrics();
      const differences: string[] = [];
      const companies: number[] = [];
      const startMs = performance.now();
      await runMany(REQUESTS, CALLERS, async (index) => {
        const request = requests[index]!;
        const answer = await askMixed(agent.url, request);
        const compared = toCompared(request, answer);
        const wanted = expected.get(request.id);
        const difference = wanted === undefined ? 'nothing to compare' : findDifference(request, compared, wanted);
        if (difference !== null) differences.push(`${toShort(request)} ${difference}`);
        const company = toCompany(request, answer);
        if (company !== null) companies.push(company);
      });
      const tookS = (performance.now() - startMs) / 1000;
      const after = await agent.metrics();

      expect(differences.slice(0, 3)).toEqual([]);
      const batches = MODELS.map((model) => [model, batchesBetween(before, after, model)] as const);
      const meanCompany = companies.reduce((sum, rows) => sum + rows, 0) / companies.length;
      const bad = requests.filter(({ id }) => expected.get(id)?.status === 400).length;
      console.log(
        `${suite.name}: ${REQUESTS} requests (scale ${testScale()}), ${differences.length} differences, ${bad} with a 400, ` +
          `${tookS.toFixed(1)} s; items a call: ${batches.map(([model, { mean }]) => `${model} ${mean.toFixed(2)}`).join(', ')}; ` +
          `rows seen by a request of pair and mlp: mean ${meanCompany.toFixed(2)}, most ${Math.max(...companies)}`,
      );
      // It batched, by the word of the models themselves and by that of the agent.
      expect(meanCompany).toBeGreaterThan(1.5);
      for (const [model, { mean }] of batches) expect([model, mean > 1.15]).toEqual([model, true]);
      expect(bad).toBeGreaterThan(0);
    });

    test('one bad row among many good ones: only its caller gets the 400', async () => {
      let merged = 0;
      for (let round = 0; round < 10; round++) {
        const bad = round % 8;
        const before = await agent.metrics();
        const answers = await Promise.all(
          Array.from({ length: 16 }, (_, i) =>
            inferV2(agent.url, 'picky', [tensor('x', 'FP32', [[i === bad ? -1 : i, 1, 2, 3]])], {
              members: { id: `c${i}` },
            }),
          ),
        );
        expect(answers.map(({ status }) => status)).toEqual(answers.map((_, i) => (i === bad ? 400 : 200)));
        for (const [i, { outputs, body }] of answers.entries()) {
          if (i === bad) expect(body).toMatchObject({ error: 'the first value of a row must not be negative' });
          else expect([outputs[0]?.data, (body as { id: string }).id]).toEqual([[i, 1, 2, 3], `c${i}`]);
        }
        const { calls, items } = batchesBetween(before, await agent.metrics(), 'picky');
        if (items > calls) merged += 1;
      }
      expect(merged).toBeGreaterThan(5);
    });

    test("each caller's own parameters come back to it, and other parameters ride in another call", async () => {
      const ask = (i: number): ReturnType<typeof inferV2> =>
        inferV2(agent.url, 'pair', [tensor('text', 'BYTES', [[`t${i}`]]), tensor('count', 'INT64', [[i]])], {
          members: { id: `p${i}`, parameters: { tenant: `tenant-${i % 3}` } },
        });
      const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)));
      const alone = await inferV2(
        server.url,
        'pair',
        [tensor('text', 'BYTES', [['t0']]), tensor('count', 'INT64', [[0]])],
        { members: { id: 'p0', parameters: { tenant: 'tenant-0' } } },
      );
      const members = Object.keys(alone.body as object);
      for (const [i, { status, outputs, body }] of answers.entries()) {
        expect([status, Object.keys(body as object), (body as { id: string }).id]).toEqual([200, members, `p${i}`]);
        expect(outputs.find(({ name }) => name === 'text')?.data).toEqual([`t${i}`]);
        // Thirty at once, ten a tenant: none rode with another tenant's.
        expect(Number(outputs.find(({ name }) => name === 'rows')?.data[0])).toBeLessThanOrEqual(10);
      }
    });

    test('headers that name the caller come back to it, as the server itself gives them', async () => {
      const ask = (url: string, i: number): ReturnType<typeof inferV2> =>
        inferV2(url, 'echo', [tensor('x', 'FP32', [[i, 2, 3, 4, 5]])], {
          members: { id: `h${i}` },
          headers: { 'accept-encoding': 'identity' },
        });
      // `vary` MLServer adds from a size on, and a joined answer is larger.
      const ofTheHop = ['date', 'content-length', 'connection', 'keep-alive', 'vary'];
      const toOwn = (headers: Headers): [string, string][] => [...headers].filter(([name]) => !ofTheHop.includes(name));
      const before = await agent.metrics();
      const through = await Promise.all(Array.from({ length: 24 }, (_, i) => ask(agent.url, i)));
      expect(batchesBetween(before, await agent.metrics(), 'echo').mean).toBeGreaterThan(1.5);
      for (const [i, { headers }] of through.entries()) {
        const direct = await ask(server.url, i);
        expect(toOwn(headers)).toEqual(toOwn(direct.headers));
      }
    });

    test.each([null, 'text/plain', 'application/octet-stream'])(
      'a JSON body whose content type is %s fares as it does alone, and is batched where the server takes it',
      async (type) => {
        const ask = async (url: string, i: number): Promise<{ status: number; body: { outputs?: Tensor[] } }> => {
          const inputs = [tensor('text', 'BYTES', [[`t${i}`]]), tensor('count', 'INT64', [[i]])];
          const response = await fetch(`${url}/v2/models/pair/infer`, {
            method: 'POST',
            body: Buffer.from(JSON.stringify({ id: `k${i}`, inputs })),
            ...(type === null ? {} : { headers: { 'content-type': type } }),
          });
          const text = await response.text();
          return { status: response.status, body: (text.startsWith('{') ? JSON.parse(text) : {}) as object };
        };
        const alone = await ask(server.url, 0);
        const answers = await Promise.all(Array.from({ length: 24 }, (_, i) => ask(agent.url, i)));
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => alone.status));
        console.log(`${suite.name}: content type ${type} is answered ${alone.status}`);
        if (alone.status !== 200) return;
        const rows = answers.map(({ body }) => Number(body.outputs?.find(({ name }) => name === 'rows')?.data[0]));
        expect(Math.max(...rows)).toBeGreaterThan(1);
        expect(answers.map(({ body }) => body.outputs?.find(({ name }) => name === 'text')?.data[0])).toEqual(
          answers.map((_, i) => `t${i}`),
        );
      },
    );
  });
}

function toShort({ protocol, model, id, instances }: MixedRequest): string {
  return `${protocol} ${model} ${id} with ${instances.length} rows:`;
}
