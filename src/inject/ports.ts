// Numbers for the agent's ports that nothing in the pod has declared.
import { containersOf, portsOf, type PodLike } from './pod.ts';
import type { AgentPorts } from './result.ts';

/** Named in the container's port list. The API server takes at most 15 letters, so the second one is short. */
export const DATA_PORT_NAME = 'morphling-data';
export const METRICS_PORT_NAME = 'morph-metrics';

const DEFAULTS: AgentPorts = { data: 19_480, metrics: 19_464, control: 19_465 };

/**
 * The defaults, or the next free number of each that is declared by a container. `isOurs`: entries of the model that
 * stand for the agent's data port already.
 */
export function choosePorts(pod: PodLike, ours: ReadonlySet<number> = new Set()): AgentPorts {
  const containers = [...containersOf(pod), ...containersOf(pod, 'initContainers')];
  const taken = new Set(containers.flatMap((container) => portsOf(container).map((port) => port.number)));
  for (const number of ours) taken.delete(number);
  const chosen: Record<keyof AgentPorts, number> = { data: 0, metrics: 0, control: 0 };
  const keys = ['data', 'metrics', 'control'] as const;
  // Those whose default is free keep it, whatever the others have to do.
  for (const key of keys) if (!taken.has(DEFAULTS[key])) chosen[key] = DEFAULTS[key];
  for (const key of keys) {
    if (chosen[key] !== 0) continue;
    let number = DEFAULTS[key];
    while (taken.has(number) || number === chosen.data || number === chosen.metrics || number === chosen.control)
      number += 1;
    chosen[key] = number;
  }
  return chosen;
}
