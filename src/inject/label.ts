// Templates whose controller has the last word on containers: they are labelled, and the webhook injects their pods.
import type { JsonPatch } from '../core/json-patch.ts';
import { toPointer } from '../core/json-patch.ts';
import { Changes } from './changes.ts';
import { INJECT_LABEL, readWish } from './opt-in.ts';
import { at, isRecord, type PodLike, textsAt } from './pod.ts';
import { formatStamp, readLabelStamp, STATUS_ANNOTATION } from './stamp.ts';
import { removeStamp, type Uninjection } from './uninject.ts';

/** Empty where the label is there already. */
export function labelTemplate(pod: PodLike, version: string): JsonPatch {
  const labels = textsAt(pod, 'metadata', 'labels');
  if (readWish(labels, {}).kind === 'wanted') return [];
  const changes = new Changes(pod);
  changes.setMember(['metadata', 'labels'], INJECT_LABEL, 'true');
  changes.setMember(['metadata', 'annotations'], STATUS_ANNOTATION, '');
  const { absent, nulls } = changes.undo;
  const stamp = formatStamp({ version, labelled: true, absent: [...absent, ...nulls] });
  return changes.patch.map((step) => withStamp(step, stamp));
}

/** Null where there is no stamp of ours. */
export function unlabelTemplate(pod: PodLike): Uninjection | null {
  const stamp = readLabelStamp(textsAt(pod, 'metadata', 'annotations'));
  if (stamp === null) return null;
  const metadata = at(pod, 'metadata');
  const labels = at(metadata, 'labels');
  const isSingle = (key: string): boolean => Object.keys(at(metadata, key) ?? {}).length === 1;
  const isMade = (path: string): boolean => stamp.absent.includes(path) || stamp.absent.includes('/metadata');
  const isOurs =
    stamp.absent.includes('/metadata') &&
    Object.keys(metadata ?? {}).every((key) => (key === 'labels' || key === 'annotations') && isSingle(key));
  if (isOurs) return { patch: [{ op: 'remove', path: '/metadata' }], notes: [] };
  const path =
    isSingle('labels') && isMade('/metadata/labels')
      ? '/metadata/labels'
      : toPointer(['metadata', 'labels', INJECT_LABEL]);
  const isThere = isRecord(labels) && Object.hasOwn(labels, INJECT_LABEL);
  const unlabel: JsonPatch = isThere ? [{ op: 'remove', path }] : [];
  return { patch: [...unlabel, ...removeStamp(pod, stamp.absent, [])], notes: [] };
}

/** The stamp tells which maps were made, so it can only be written when all of them are known. */
function withStamp(step: JsonPatch[number], stamp: string): JsonPatch[number] {
  if (step.op !== 'add' && step.op !== 'replace') return step;
  if (step.path.endsWith('/morphling.io~1status')) return { ...step, value: stamp };
  if (step.path !== '/metadata/annotations') return step;
  return { ...step, value: { [STATUS_ANNOTATION]: stamp } };
}
