// What changes on the model's own container: its port's name, its probes by that name, and a pause before it stops.
import type { Changes } from './changes.ts';
import { at, isRecord, portsOf, textAt } from './pod.ts';
import type { Note, Takeover } from './result.ts';
import type { Serving } from './serving.ts';

/** Where a container may name one of its ports: the holders of `port`, as paths within the container. */
const PORT_HOLDERS: readonly (readonly string[])[] = [
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle.postStart',
  'lifecycle.preStop',
].flatMap((path) => ['httpGet', 'tcpSocket'].map((action) => [...path.split('.'), action]));

/**
 * Names that the agent takes over, in the order of the model's list. Probes that used them get the model's own number,
 * so that they still ask the model itself.
 */
export function takeOver(changes: Changes, serving: Serving, how: Takeover, dataPort: number): string[] {
  const { container, port } = serving;
  if (how === 'keep') return [];
  const ports = portsOf(container).filter((one) => one.isTcp && (one.number === port || one.number === dataPort));
  const names = new Set(ports.map(({ name }) => name).filter((name) => name !== ''));
  for (const [nth, one] of ports.entries()) {
    if (how === 'move') changes.takeName(container, one, nth);
    else changes.setValue(container, ['ports', one.index, 'containerPort'], dataPort);
  }
  for (const path of PORT_HOLDERS) {
    const target = at(container.raw, ...path, 'port');
    if (typeof target === 'string' && names.has(target)) changes.setValue(container, [...path, 'port'], port);
  }
  return how === 'move' ? [...names] : [];
}

/** The agent's `drain.delayMs` at its default: how long balancers need to see that a pod is going. */
const DRAIN_DELAY_S = 5;
/** Kubernetes' own default where a pod says nothing. */
const GRACE_S = 30;

/**
 * Keeps the model alive while callers still come: it gets SIGTERM with the agent or before it. Only where the user has
 * no `preStop` of his own; `sleep` is an action since Kubernetes 1.30.
 */
export function addDrain(changes: Changes, serving: Serving, spec: unknown, minor: number): Note[] {
  const { container } = serving;
  if (isRecord(at(container.raw, 'lifecycle', 'preStop'))) return [];
  const grace = at(spec, 'terminationGracePeriodSeconds');
  const graceS = typeof grace === 'number' ? grace : GRACE_S;
  if (minor < 30)
    return [
      {
        message: `Kubernetes 1.${minor} has no preStop sleep: ${container.name || 'the model'} stops while callers still come`,
        remedy: `give it a preStop hook of your own that waits ${DRAIN_DELAY_S} s`,
      },
    ];
  if (graceS <= DRAIN_DELAY_S)
    return [
      {
        message: `terminationGracePeriodSeconds is ${graceS}: no time to let callers go before the model stops`,
        remedy: `set it above ${DRAIN_DELAY_S}, better to ${GRACE_S}`,
      },
    ];
  changes.addPreStop(container, { sleep: { seconds: DRAIN_DELAY_S } });
  return [];
}

/** True for what `addDrain` writes. */
export function isOurPreStop(value: unknown): boolean {
  return isRecord(value) && Object.keys(value).length === 1 && at(value, 'sleep', 'seconds') === DRAIN_DELAY_S;
}

/** Ways in that go past the agent whatever we do. */
export function noteBypasses({ container, port }: Serving): Note[] {
  const host = portsOf(container).find((one) => one.number === port && typeof at(one.raw, 'hostPort') === 'number');
  const notes: Note[] = [];
  if (host !== undefined)
    notes.push({
      message: `hostPort ${String(at(host.raw, 'hostPort'))} still leads to the model itself`,
      remedy: 'let callers come through a Service, or remove the hostPort',
    });
  if (textAt(container.raw, 'name') === '') notes.push({ message: 'the container has no name' });
  return notes;
}
