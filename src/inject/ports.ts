// Numbers for the agent's ports that nothing in the pod has declared.
import { containersOf, portsOf, type PodLike } from './pod.ts';
import type { AgentPorts } from './result.ts';

/** Named in the container's port list. The API server takes at most 15 letters, so the second one is short. */
export const DATA_PORT_NAME = 'morphling-data';
export const METRICS_PORT_NAME = 'morph-metrics';

const DEFAULTS: AgentPorts = { data: 19_480, metrics: 19_464, control: 19_465 };

/** The number of the data port that nobody has asked to be another. */
export const DATA_PORT = DEFAULTS.data;

/**
 * The defaults, or the next free number of each that is declared by a container. `data` is wanted for the data port;
 * with `isDeclared` the model's entry of that number stands for the agent already.
 */
export function choosePorts(pod: PodLike, data: number = DATA_PORT, isDeclared = false): AgentPorts {
  const containers = [...containersOf(pod), ...containersOf(pod, 'initContainers')];
  const taken = new Set(containers.flatMap((container) => portsOf(container).map((port) => port.number)));
  if (isDeclared) taken.delete(data);
  const wanted: AgentPorts = { ...DEFAULTS, data };
  const chosen: Record<keyof AgentPorts, number> = { data: 0, metrics: 0, control: 0 };
  const keys = ['data', 'metrics', 'control'] as const;
  // Those whose wish is free get it, whatever the others have to do; the data port's wish counts first.
  for (const key of keys) {
    if (taken.has(wanted[key])) continue;
    chosen[key] = wanted[key];
    taken.add(wanted[key]);
  }
  for (const key of keys) {
    if (chosen[key] !== 0) continue;
    chosen[key] = nextFree(wanted[key], taken);
    taken.add(chosen[key]);
  }
  return chosen;
}

/** Upwards, and from the first free port of users where numbers end. */
function nextFree(from: number, taken: ReadonlySet<number>): number {
  let number = from;
  while (taken.has(number)) number = number < 65_535 ? number + 1 : 1024;
  return number;
}
