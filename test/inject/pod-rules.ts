// What the API server asks of a pod, as far as injection could break it.
import { at, type Container, containersOf, listAt, type PodLike, portsOf, textAt } from '../../src/inject/pod.ts';

/** Faults in what the agent brought or touched; empty: the API server takes the pod, if it took it before. */
export function findFaults(pod: PodLike, agentName = 'morphling-agent'): string[] {
  const all = [...containersOf(pod), ...containersOf(pod, 'initContainers')];
  const agents = all.filter(({ name }) => name === agentName);
  const [agent] = agents;
  if (agent === undefined || agents.length !== 1) return [`${agents.length} agents`];
  const others = all.filter((one) => one !== agent);
  return [...findPortFaults(agent, others), ...findVolumeFaults(pod, agent), ...findPreStopFaults(pod)];
}

function findPortFaults(agent: Container, others: readonly Container[]): string[] {
  const faults: string[] = [];
  const own = portsOf(agent);
  const names = own.map(({ name }) => name);
  if (new Set(names).size !== names.length) faults.push('a port name twice in the agent');
  for (const name of names) if (!/^(?=.{1,15}$)[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) faults.push(`port name ${name}`);
  const args = listAt(agent.raw, 'args').map(String);
  const control = Number(/:(\d+)$/.exec(args[args.indexOf('--control') + 1] ?? '')?.[1]);
  const numbers = new Set([...own.map(({ number }) => number), control]);
  if (numbers.size !== 3) faults.push(`${numbers.size} numbers for data, metrics and control`);
  const isStandIn = (number: number): boolean => number === own[0]?.number;
  for (const other of others)
    for (const port of portsOf(other)) {
      // A model may declare the agent's number for it; two names of one port would hide the agent's.
      if (numbers.has(port.number) && !isStandIn(port.number)) faults.push(`${other.name} has ${port.number} too`);
      if (port.name !== '' && names.includes(port.name)) faults.push(`${other.name} is called ${port.name} too`);
    }
  return faults;
}

function findVolumeFaults(pod: PodLike, agent: Container): string[] {
  const names = listAt(pod, 'spec', 'volumes').map((volume) => textAt(volume, 'name'));
  return listAt(agent.raw, 'volumeMounts').flatMap((mount) => {
    const name = textAt(mount, 'name');
    const count = names.filter((one) => one === name).length;
    return count === 1 ? [] : [`${count} volumes called ${name}`];
  });
}

/** `sleep` has to be shorter than the time that the pod gets. */
function findPreStopFaults(pod: PodLike): string[] {
  const grace = at(pod, 'spec', 'terminationGracePeriodSeconds') ?? 30;
  return containersOf(pod).flatMap(({ name, raw }) => {
    const seconds = at(raw, 'lifecycle', 'preStop', 'sleep', 'seconds');
    return typeof seconds === 'number' && typeof grace === 'number' && seconds >= grace ? [`${name}: sleep`] : [];
  });
}
