// The real model servers as the agent meets them: which they are, how they are asked, and an agent that knows their models.
import { modelStatus, startAgent, until, type Agent, type AgentOptions } from './agent.ts';
import { inferV2, tensor, type Tensor } from './servers/infer.ts';
import { startKserve } from './servers/kserve.ts';
import type { AskProtocol } from './servers/mixed-requests.ts';
import { startMlserver } from './servers/mlserver.ts';
import type { ModelName, ModelServer, ServerName } from './servers/server.ts';
import { startTriton } from './servers/triton.ts';

export interface RealServer {
  readonly name: ServerName;
  readonly start: typeof startTriton;
  readonly protocols: readonly AskProtocol[];
}

export const REAL_SERVERS: readonly RealServer[] = [
  { name: 'mlserver', start: startMlserver, protocols: ['v2'] },
  { name: 'kserve', start: startKserve, protocols: ['v1', 'v2', 'v2-binary'] },
  { name: 'triton', start: startTriton, protocols: ['v2', 'v2-binary'] },
];

/** No tuning and no look at devices: natural batching, up to 64 items, one call at a time. */
export const UNTUNED: AgentOptions = { flags: ['--decider', 'fixed', '--accelerator', 'off'] };

/** An agent that has heard from the server how each of these models may be batched. */
export async function startAgentBefore(
  server: ModelServer,
  models: readonly ModelName[],
  options: AgentOptions = UNTUNED,
): Promise<Agent> {
  const agent = await startAgent(server.url, options);
  for (const model of models) {
    await until(
      async () => {
        const { status, text } = await inferV2(agent.url, model, smallestInput(model), { members: { id: 'first' } });
        if (status !== 200) throw new Error(`${model}: ${status} ${text}`);
        const word = (await modelStatus(agent, model))?.batching;
        return word?.isBatchable === true || word?.reason.startsWith('metadata names') === true;
      },
      10_000,
      () => `${model} is not known:\n${agent.logs.join('\n')}`,
    );
  }
  return agent;
}

/** One item that the model takes. */
export function smallestInput(model: ModelName): Tensor[] {
  switch (model) {
    case 'pair':
      return [tensor('text', 'BYTES', [['a']]), tensor('count', 'INT64', [[1]])];
    case 'mlp':
      return [tensor('x', 'FP32', [Array<number>(1024).fill(0)])];
    case 'magika':
      return [tensor('bytes', 'INT32', [Array<number>(2048).fill(0)])];
    case 'echo':
    case 'picky':
    case 'sum0':
    case 'sum0-open':
    case 'miscount':
      return [tensor('x', 'FP32', [[1, 2, 3, 4]])];
  }
}
