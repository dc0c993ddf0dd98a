// The clients that people use, unchanged: pointed at the agent instead of the server they must not notice.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchesBetween } from '../support/agent-metrics.ts';
import { REAL_SERVERS, startAgentBefore } from '../support/agent-servers.ts';
import type { Agent } from '../support/agent.ts';
import { ensureEnvironment } from '../support/servers/environment.ts';
import { tensor, type Tensor } from '../support/servers/infer.ts';
import { runOfficialClient, type OfficialClient } from '../support/servers/official-clients.ts';
import type { ModelServer, ServerName } from '../support/servers/server.ts';
import { titled } from '../support/skip.ts';

/** Those that work with the server itself over HTTP (test/e2e/servers.test.ts), and whether a batch can be made of them. */
const CLIENTS: Readonly<Record<ServerName, readonly (readonly [OfficialClient, boolean])[]>> = {
  mlserver: [
    ['tritonclient-http-json', true],
    ['kserve-v2-json', true],
  ],
  kserve: [
    ['tritonclient-http', true],
    ['tritonclient-http-aio', true],
    ['kserve-v1', true],
    ['kserve-v2', true],
    ['kserve-v2-json', true],
  ],
  triton: [
    ['tritonclient-http', true],
    ['tritonclient-http-json', true],
    // Compressed bodies cannot be spliced; they pass alone.
    ['tritonclient-http-gzip', false],
    ['tritonclient-http-aio', true],
    ['kserve-v2', true],
    ['kserve-v2-json', true],
  ],
};
const CALLERS = 16;
/** One of them is refused by `picky`. */
const REQUESTS = Array.from({ length: 64 }, (_, i): Tensor[] => [tensor('x', 'FP32', [[i === 20 ? -1 : i, 1, 2, 3]])]);
/** Python sends slower than these models answer: a wait for company makes batches of it. */
const DELAY_MS = 20;

const clients = await ensureEnvironment('clients');

for (const { name, start } of REAL_SERVERS) {
  const environment = await ensureEnvironment(name);
  const lacking = environment.kind === 'missing' ? environment : clients;
  describe.skipIf(lacking.kind === 'missing')(titled(`official clients through the agent to ${name}`, lacking), () => {
    let server: ModelServer;
    let agent: Agent;
    beforeAll(async () => {
      server = await start({ models: ['picky'] });
      agent = await startAgentBefore(server, ['picky']);
      await agent.control('PUT', '/v1/settings?model=picky&immediate=true', { batchDelayMs: DELAY_MS });
    });
    afterAll(async () => {
      await agent?.stop();
      await server?.kill9();
    });

    test.each(CLIENTS[name])('%s gets what it gets from the server', async (client, isBatched) => {
      const run = (url: string): ReturnType<typeof runOfficialClient> =>
        runOfficialClient({ client, url, model: 'picky', requests: REQUESTS, concurrency: CALLERS });
      const before = await agent.metrics();
      // Most of either run is the import of the library.
      const [through, direct] = await Promise.all([run(agent.url), run(server.url)]);
      const { mean, calls } = batchesBetween(before, await agent.metrics(), 'picky');
      console.log(
        `${client} through the agent to ${name}: ${REQUESTS.length} requests in ${calls} calls, mean ${mean.toFixed(2)}`,
      );
      // Some clients put the address they asked into their message.
      const toPlain = (results: object[]): string[] =>
        results.map((result) => JSON.stringify(result).replaceAll(/127\.0\.0\.1:\d+/g, 'HOST'));
      expect(toPlain(through)).toEqual(toPlain(direct));
      expect(through.flatMap((result, i) => ('error' in result ? [i] : []))).toEqual([20]);
      if (isBatched) expect(mean).toBeGreaterThan(1.5);
      else expect(calls).toBe(REQUESTS.length);
    });

    test('gRPC is not proxied yet: the client is refused at once, not left waiting', async () => {
      const startMs = performance.now();
      const [result] = await runOfficialClient({
        client: 'tritonclient-grpc',
        url: `127.0.0.1:${agent.port}`,
        model: 'picky',
        requests: REQUESTS.slice(0, 1),
      });
      expect(result).toMatchObject({ error: expect.any(String) });
      expect(performance.now() - startMs).toBeLessThan(10_000);
      console.log(`tritonclient-grpc at the agent: ${JSON.stringify(result).slice(0, 200)}`);
    });
  });
}
