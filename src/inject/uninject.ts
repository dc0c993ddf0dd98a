// The way back: a pod or a template as it was before the agent came.
import { type JsonPatch, fromPointer, type PatchOperation, toPointer } from '../core/json-patch.ts';
import { at, type Container, containersOf, isRecord, listAt, type PodLike, portsOf, textAt, textsAt } from './pod.ts';
import type { InjectionStatus, Note } from './result.ts';
import { readStatus, STATUS_ANNOTATION } from './stamp.ts';
import { isOurPreStop } from './takeover.ts';

export interface Uninjection {
  readonly patch: JsonPatch;
  readonly notes: readonly Note[];
}

/** Null where there is no stamp of ours. What has been changed since by others is left as it is, with a note. */
export function uninjectPod(pod: PodLike): Uninjection | null {
  const status = readStatus(textsAt(pod, 'metadata', 'annotations'));
  if (status === null) return null;
  const notes: Note[] = [];
  const containers = containersOf(pod);
  const patch = [
    ...restoreNames(containers, status),
    ...restoreValues(containers, status, notes),
    ...restorePreStop(containers, status),
    ...removeNamed(pod, 'initContainers', status.container, status),
    ...removeNamed(pod, 'containers', status.container, status),
    ...removeNamed(pod, 'volumes', status.volume, status),
    ...removeStamp(pod, status.undo.absent, status.undo.nulls),
  ];
  return { patch, notes };
}

/** The stamp, and the maps that were made for it if nothing else has come into them. */
export function removeStamp(pod: PodLike, absent: readonly string[], nulls: readonly string[]): PatchOperation[] {
  const annotations = at(pod, 'metadata', 'annotations');
  const isAlone = isRecord(annotations) && Object.keys(annotations).length === 1;
  const metadata = at(pod, 'metadata');
  if (isAlone && nulls.includes('/metadata/annotations'))
    return [{ op: 'replace', path: '/metadata/annotations', value: null }];
  if (isAlone && isRecord(metadata) && Object.keys(metadata).length === 1) {
    if (nulls.includes('/metadata')) return [{ op: 'replace', path: '/metadata', value: null }];
    if (absent.includes('/metadata')) return [{ op: 'remove', path: '/metadata' }];
  }
  const isOurs = absent.includes('/metadata/annotations') || absent.includes('/metadata');
  if (isAlone && isOurs) return [{ op: 'remove', path: '/metadata/annotations' }];
  return [{ op: 'remove', path: toPointer(['metadata', 'annotations', STATUS_ANNOTATION]) }];
}

function restoreNames(containers: readonly Container[], { undo }: InjectionStatus): PatchOperation[] {
  return undo.names.flatMap(([name, number, portName, nth]) => {
    const container = containers.find((one) => one.name === name);
    if (container === undefined) return [];
    const port = portsOf(container).filter((one) => one.number === number && one.isTcp)[nth];
    // A name that someone has given it since is theirs.
    if (port === undefined || port.name !== '') return [];
    const path = toPointer(['spec', 'containers', container.index, 'ports', port.index, 'name']);
    return [{ op: 'add', path, value: portName } as const];
  });
}

function restoreValues(containers: readonly Container[], { undo }: InjectionStatus, notes: Note[]): PatchOperation[] {
  const now = new Map<string, unknown>();
  const patch: PatchOperation[] = [];
  // The last change first: a value may have been changed twice.
  for (const [name, pointer, is, was] of [...undo.values].reverse()) {
    const container = containers.find((one) => one.name === name);
    if (container === undefined) continue;
    const keys = fromPointer(pointer);
    const path = toPointer(['spec', 'containers', container.index, ...keys]);
    const value = now.has(path) ? now.get(path) : at(container.raw, ...keys);
    if (value !== is) {
      notes.push({ message: `${name}${pointer} has been changed since, so it stays as it is` });
      continue;
    }
    now.set(path, was);
    patch.push({ op: 'replace', path, value: was });
  }
  return patch;
}

function restorePreStop(containers: readonly Container[], { undo, model }: InjectionStatus): PatchOperation[] {
  const container = containers.find(({ name }) => name === model.container);
  if (undo.preStop === undefined || container === undefined) return [];
  const lifecycle = at(container.raw, 'lifecycle');
  if (!isRecord(lifecycle) || !isOurPreStop(lifecycle['preStop'])) return [];
  const base = ['spec', 'containers', container.index, 'lifecycle'];
  const [added, was] = undo.preStop;
  const isWhole = added === 'lifecycle' && Object.keys(lifecycle).length === 1;
  const path = toPointer(isWhole ? base : [...base, 'preStop']);
  const isNull = was === 'null' && (isWhole || added === 'preStop');
  return [isNull ? { op: 'replace', path, value: null } : { op: 'remove', path }];
}

/** An entry of a list; the list too, if it was made for it and holds nothing else. */
function removeNamed(
  pod: PodLike,
  key: 'containers' | 'initContainers' | 'volumes',
  name: string,
  { undo }: InjectionStatus,
): PatchOperation[] {
  const list = listAt(pod, 'spec', key);
  const pointer = toPointer(['spec', key]);
  const index = list.findIndex((one) => textAt(one, 'name') === name);
  if (index < 0) return [];
  if (list.length === 1 && undo.nulls.includes(pointer)) return [{ op: 'replace', path: pointer, value: null }];
  if (list.length === 1 && undo.absent.includes(pointer)) return [{ op: 'remove', path: pointer }];
  return [{ op: 'remove', path: `${pointer}/${index}` }];
}
