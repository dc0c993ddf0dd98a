// Models that answer a batch wrongly, and callers that must not be mixed: what the agent must never join.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchesBetween } from '../support/agent-metrics.ts';
import { REAL_SERVERS, startAgentBefore, UNTUNED } from '../support/agent-servers.ts';
import { modelStatus, startAgent, type Agent } from '../support/agent.ts';
import { ensureEnvironment } from '../support/servers/environment.ts';
import { inferV2, inferV2Binary, predictV1, tensor } from '../support/servers/infer.ts';
import type { AskProtocol } from '../support/servers/mixed-requests.ts';
import type { ModelName, ModelServer } from '../support/servers/server.ts';
import { titled } from '../support/skip.ts';

const WRONG_IN_BATCHES: readonly ModelName[] = ['sum0', 'sum0-open', 'miscount'];
const ROUNDS = 8;
const CALLERS = 16;

for (const { name, start, protocols } of REAL_SERVERS) {
  const environment = await ensureEnvironment(name);
  describe.skipIf(environment.kind === 'missing')(titled(`before ${name}`, environment), () => {
    let server: ModelServer;
    beforeAll(async () => {
      server = await start({ models: [...WRONG_IN_BATCHES, 'pair'] });
    });
    afterAll(async () => {
      await server?.kill9();
    });

    describe.each(protocols)('%s', (protocol) => {
      // An agent of its own: what one protocol taught it must not help the next.
      let agent: Agent;
      beforeAll(async () => {
        agent = await startAgent(server.url, UNTUNED);
      });
      afterAll(async () => {
        await agent?.stop();
      });

      test.each(WRONG_IN_BATCHES)('%s is never answered wrongly, and its batching ends for good', async (model) => {
        const before = await agent.metrics();
        for (let round = 0; round < ROUNDS; round++) {
          const asked = Array.from({ length: CALLERS }, (_, i) => [round, i, 3, 4]);
          const answers = await Promise.all(asked.map((row) => askRow(agent.url, protocol, model, row)));
          // Alone, a sum is the row itself, and miscount gives it twice.
          expect(answers).toEqual(asked.map((row) => (model === 'miscount' ? [row, row] : [row])));
        }
        const word = (await modelStatus(agent, model))?.batching;
        // Where metadata fixes the first dimension it was never tried; elsewhere an answer showed it.
        const isSaid = model === 'sum0' && protocol !== 'v1';
        expect(word).toMatchObject({
          isBatchable: false,
          reason: expect.stringMatching(
            isSaid ? /fixed first dimension/ : /answered \d+ items to a joined call of \d+/,
          ),
        });
        const told = agent.logs.filter((line) => line.includes('no longer batched') && line.includes(`"${model}"`));
        // What waited already as batchable may still be joined once, and is told of once more.
        if (isSaid) expect(told).toEqual([]);
        else expect([1, 2]).toContain(told.length);
        const { calls, items } = batchesBetween(before, await agent.metrics(), model);
        console.log(`${name} ${protocol} ${model}: ${word?.reason}; ${ROUNDS * CALLERS} requests in ${calls} calls`);
        if (isSaid) expect([calls, items]).toEqual([ROUNDS * CALLERS, ROUNDS * CALLERS]);
        // What was joined before that was sent again alone.
        else expect(calls).toBeLessThanOrEqual(ROUNDS * CALLERS + 3);
      });
    });

    test('callers with different Authorization never share a call, and those with the same do', async () => {
      await using agent = await startAgentBefore(server, ['pair']);
      let shared = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const answers = await Promise.all(
          Array.from({ length: 2 * CALLERS }, (_, i) =>
            inferV2(agent.url, 'pair', [tensor('text', 'BYTES', [[`u${i}`]]), tensor('count', 'INT64', [[i]])], {
              members: { id: `u${i}` },
              // Half of the callers are each alone with their credentials.
              headers: { authorization: i % 2 === 0 ? `Bearer own-${i}` : 'Bearer common' },
            }),
          ),
        );
        for (const [i, { status, outputs, text }] of answers.entries()) {
          expect([status, status === 200 ? '' : text]).toEqual([200, '']);
          const rows = Number(outputs.find((output) => output.name === 'rows')?.data[0]);
          if (i % 2 === 0) expect(rows).toBe(1);
          else if (rows > 1) shared += 1;
        }
      }
      expect(shared).toBeGreaterThan(0);
    });
  });
}

/** One row in; every row of the answer. */
async function askRow(url: string, protocol: AskProtocol, model: ModelName, row: number[]): Promise<unknown> {
  if (protocol === 'v1') return (await predictV1(url, model, [row])).predictions;
  const ask = protocol === 'v2' ? inferV2 : inferV2Binary;
  const { outputs, text } = await ask(url, model, [tensor('x', 'FP32', [row])], { members: { id: row.join('-') } });
  const [output] = outputs;
  if (output === undefined) return text;
  const width = output.shape[1] ?? 1;
  return Array.from({ length: output.shape[0] ?? 0 }, (_, i) => output.data.slice(i * width, (i + 1) * width));
}
