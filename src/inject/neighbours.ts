// Sidecars before ours in the way of a request: they are told that the agent stands before the model.
import type { Changes } from './changes.ts';
import { at, type Container, containersOf, isRecord, listAt, type PodLike, textAt } from './pod.ts';
import type { AgentPorts, Note } from './result.ts';
import { isKserveAgent } from './serving.ts';

/**
 * Knative's queue-proxy (`USER_PORT` and its readiness probe) and KServe's agent (`--component-port`). Only values
 * that name the model's port are touched, so a second run changes nothing, and it does not matter who came first.
 */
export function tellNeighbours(changes: Changes, pod: PodLike, modelPort: number, ports: AgentPorts): Note[] {
  const notes: Note[] = [];
  for (const container of containersOf(pod)) {
    if (container.name === 'queue-proxy') tellQueueProxy(changes, container, modelPort, ports);
    if (isKserveAgent(container)) notes.push(...tellKserveAgent(changes, container, modelPort, ports));
  }
  return notes;
}

function tellQueueProxy(changes: Changes, container: Container, modelPort: number, ports: AgentPorts): void {
  for (const [index, entry] of listAt(container.raw, 'env').entries()) {
    const name = textAt(entry, 'name');
    const value = textAt(entry, 'value');
    if (name === 'USER_PORT' && value === String(modelPort))
      changes.setValue(container, ['env', index, 'value'], String(ports.data));
    if (name !== 'SERVING_READINESS_PROBE') continue;
    const probe = toAgentProbe(value, modelPort, ports);
    if (probe !== null) changes.setValue(container, ['env', index, 'value'], probe);
  }
}

/**
 * queue-proxy answers for the readiness of the whole pod, so its probe has to go through the agent: the same path on
 * the data port, or for a mere TCP probe the agent's own /ready, which asks the model. Null: leave it alone.
 */
function toAgentProbe(text: string, modelPort: number, ports: AgentPorts): string | null {
  let probe: unknown;
  try {
    probe = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(probe)) return null;
  const { httpGet, tcpSocket, ...rest } = probe;
  if (isRecord(httpGet) && at(httpGet, 'port') === modelPort)
    return JSON.stringify({ ...probe, httpGet: { ...httpGet, port: ports.data } });
  if (!isRecord(tcpSocket) || at(tcpSocket, 'port') !== modelPort) return null;
  const host = at(tcpSocket, 'host') ?? '127.0.0.1';
  return JSON.stringify({ httpGet: { path: '/ready', port: ports.metrics, host, scheme: 'HTTP' }, ...rest });
}

function tellKserveAgent(changes: Changes, container: Container, modelPort: number, ports: AgentPorts): Note[] {
  const args = listAt(container.raw, 'args');
  const index = args.indexOf('--component-port') + 1;
  if (index > 0 && args[index] === String(modelPort)) changes.setValue(container, ['args', index], String(ports.data));
  return args.includes('--enable-batcher')
    ? [
        {
          message: "KServe's own batcher is on: requests would be batched twice, first by a fixed rule",
          remedy: 'remove spec.predictor.batcher from the InferenceService',
        },
      ]
    : [];
}
