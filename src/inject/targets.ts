// Services and InferencePools of the stream: those that send to the model by number are sent to the agent.
import { type JsonPatch, type PatchOperation, toPointer } from '../core/json-patch.ts';
import { Changes } from './changes.ts';
import { at, isRecord, listAt, textAt, textsAt } from './pod.ts';
import { DATA_PORT_NAME } from './ports.ts';
import type { Note } from './result.ts';
import { formatStamp, readTargetStamp, STATUS_ANNOTATION, type TargetStamp } from './stamp.ts';
import { toGroup } from './templates.ts';
import { removeStamp } from './uninject.ts';

/** What Services have to know of an injected template. */
export interface InjectedPods {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly modelPort: number;
  readonly dataPort: number;
  /** Port names that went from the model to the agent. */
  readonly names: readonly string[];
  /** A name of the agent's port that Services of this cluster find; false for native sidecars before 1.33. */
  readonly isNameFound: boolean;
}

export interface Retargeting {
  readonly patch: JsonPatch;
  readonly notes: readonly Note[];
}

/** Null for objects that send nothing to these pods, or need no change. */
export function retarget(object: unknown, all: readonly InjectedPods[], version: string): Retargeting | null {
  const kind = toKind(object);
  if (kind === null) return null;
  const selector = toSelector(object, kind);
  const namespace = textAt(object, 'metadata', 'namespace');
  const selected = all.filter((one) => one.namespace === namespace && isSelected(selector, one.labels, kind));
  const [first] = selected;
  if (first === undefined) return null;
  if (kind === 'policy') return notePolicy(object, first);
  const notes: Note[] = [];
  const steps: PatchOperation[] = [];
  const targets: TargetStamp['targets'][number][] = [];
  for (const pods of selected) {
    for (const { index, path, was } of kind === 'pool' ? poolPorts(object, pods) : servicePorts(object, pods)) {
      if (targets.some(([taken]) => taken === index)) continue;
      const value = kind === 'pool' ? pods.dataPort : toTarget(pods);
      steps.push({ op: was === undefined ? 'add' : 'replace', path: toPointer(path), value });
      targets.push(was === undefined ? [index, value] : [index, value, was]);
      notes.push(...noteRollout(value, pods, kind));
    }
  }
  if (kind === 'service' && textAt(object, 'spec', 'clusterIP') === 'None')
    notes.push({
      message: "it is headless: callers that dial the pod on the model's own port go past the agent",
      remedy: `let them dial port ${first.dataPort}`,
    });
  if (steps.length === 0) return notes.length === 0 ? null : { patch: [], notes };
  const changes = new Changes(isRecord(object) ? object : {});
  const probe = new Changes(isRecord(object) ? object : {});
  probe.setMember(['metadata', 'annotations'], STATUS_ANNOTATION, '');
  changes.setMember(
    ['metadata', 'annotations'],
    STATUS_ANNOTATION,
    formatStamp({ version, targets, absent: probe.undo.absent }),
  );
  return { patch: [...steps, ...changes.patch], notes };
}

/** Null where there is no stamp of ours. */
export function untarget(object: unknown): Retargeting | null {
  const kind = toKind(object);
  const stamp = readTargetStamp(textsAt(object, 'metadata', 'annotations'));
  if (kind === null || kind === 'policy' || stamp === null) return null;
  const notes: Note[] = [];
  const steps = stamp.targets.flatMap((target): PatchOperation[] => {
    const [index, is, was] = target;
    const path = kind === 'pool' ? toPoolPath(index) : ['spec', 'ports', index, 'targetPort'];
    const pointer = toPointer(path);
    if (at(object, ...path) !== is) {
      notes.push({ message: `${pointer} has been changed since, so it stays as it is` });
      return [];
    }
    return [target.length === 2 ? { op: 'remove', path: pointer } : { op: 'replace', path: pointer, value: was }];
  });
  return { patch: [...steps, ...removeStamp(isRecord(object) ? object : {}, stamp.absent, [])], notes };
}

interface Target {
  /** Of the port in its list; -1 for a field of its own. */
  readonly index: number;
  readonly path: readonly (string | number)[];
  /** What it says now; undefined: nothing. */
  readonly was: unknown;
}

type TargetKind = 'service' | 'pool' | 'policy';

function toKind(object: unknown): TargetKind | null {
  const group = toGroup(textAt(object, 'apiVersion'));
  switch (textAt(object, 'kind')) {
    case 'Service':
      return group === '' ? 'service' : null;
    case 'InferencePool':
      return group === 'inference.networking.k8s.io' || group === 'inference.networking.x-k8s.io' ? 'pool' : null;
    case 'NetworkPolicy':
      return group === 'networking.k8s.io' ? 'policy' : null;
    default:
      return null;
  }
}

/** A Service without a targetPort sends to its own number. */
function servicePorts(object: unknown, pods: InjectedPods): Target[] {
  return listAt(object, 'spec', 'ports').flatMap((port, index) => {
    const was = at(port, 'targetPort');
    if ((at(port, 'protocol') ?? 'TCP') !== 'TCP') return [];
    if ((was ?? at(port, 'port')) !== pods.modelPort) return [];
    return [{ index, path: ['spec', 'ports', index, 'targetPort'], was }];
  });
}

/** `targetPorts[].number` of v1, `targetPortNumber` of the alphas; both know numbers only. */
function poolPorts(object: unknown, pods: InjectedPods): Target[] {
  const indices = [...listAt(object, 'spec', 'targetPorts').keys(), -1];
  return indices.flatMap((index) => {
    const path = toPoolPath(index);
    const was = at(object, ...path);
    return was === pods.modelPort ? [{ index, path, was }] : [];
  });
}

function toPoolPath(index: number): (string | number)[] {
  return index < 0 ? ['spec', 'targetPortNumber'] : ['spec', 'targetPorts', index, 'number'];
}

function toSelector(object: unknown, kind: TargetKind): Readonly<Record<string, string>> {
  if (kind === 'policy') return textsAt(object, 'spec', 'podSelector', 'matchLabels');
  const isNested = isRecord(at(object, 'spec', 'selector', 'matchLabels'));
  return isNested ? textsAt(object, 'spec', 'selector', 'matchLabels') : textsAt(object, 'spec', 'selector');
}

/** An empty selector selects nothing, but for a NetworkPolicy, where it selects every pod. */
function isSelected(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
  kind: TargetKind,
): boolean {
  const wanted = Object.entries(selector);
  return (wanted.length > 0 || kind === 'policy') && wanted.every(([key, value]) => labels[key] === value);
}

/** By name where there is one: the name is on pods with and without the agent, so a rollout loses nothing. */
function toTarget({ names, dataPort, isNameFound }: InjectedPods): string | number {
  return isNameFound ? (names[0] ?? DATA_PORT_NAME) : dataPort;
}

function noteRollout(value: string | number, { names }: InjectedPods, kind: TargetKind): Note[] {
  if (typeof value === 'string' && names.includes(value)) return [];
  const remedy =
    kind === 'pool'
      ? 'on a live cluster roll the workload out first, then apply the pool'
      : 'on a live cluster name the port in the template and send to that name first, roll out, then inject';
  return [
    { message: `pods without the agent have no port ${value}, so they get no traffic once this is applied`, remedy },
  ];
}

/** Ports of a NetworkPolicy may be names that not every network plugin finds, so this one is only told of. */
function notePolicy(object: unknown, { modelPort, dataPort }: InjectedPods): Retargeting | null {
  const ports = listAt(object, 'spec', 'ingress').flatMap((rule) => listAt(rule, 'ports'));
  const lets = (number: number): boolean => ports.some((one) => at(one, 'port') === number);
  if (!lets(modelPort) || lets(dataPort)) return null;
  return {
    patch: [],
    notes: [
      {
        message: `it lets callers in on port ${modelPort} of the model, but not on port ${dataPort} of the agent`,
        remedy: `add port ${dataPort} to its ingress rules before the rollout`,
      },
    ],
  };
}
