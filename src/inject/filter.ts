// A stream of Kubernetes objects to patches: what `morphling inject` and `uninject` do, without the reading and writing.
import { formatIssue } from '../core/errors.ts';
import type { JsonPatch, PatchOperation } from '../core/json-patch.ts';
import { applyPatch } from '../core/json-patch.ts';
import { injectPod } from './inject.ts';
import { labelTemplate, unlabelTemplate } from './label.ts';
import { NAMED_PORT_MINOR, toMinor } from './native.ts';
import { readWish } from './opt-in.ts';
import { at, containersOf, isRecord, listAt, portsOf, textAt, textsAt } from './pod.ts';
import type { InjectOptions, Note } from './result.ts';
import { readStatus } from './stamp.ts';
import { type InjectedPods, retarget, untarget } from './targets.ts';
import { findTemplates, type Template } from './templates.ts';
import { uninjectPod } from './uninject.ts';

/** What became of one workload, Service or pool. */
export interface Outcome {
  /** `deployment/triton`, with the namespace if it has one. */
  readonly subject: string;
  readonly kind: 'injected' | 'labelled' | 'retargeted' | 'present' | 'skipped' | 'refused' | 'removed' | 'noted';
  /** One sentence. */
  readonly message: string;
  readonly notes: readonly Note[];
}

export interface FilterResult {
  /** One per object of the stream, in its order; empty: the object stays as it is, byte for byte. */
  readonly patches: readonly JsonPatch[];
  readonly outcomes: readonly Outcome[];
}

export interface FilterOptions extends InjectOptions {
  /** Only what a pod label or a namespace of the stream asks for; else everything that has not opted out. */
  readonly isLabelledOnly?: boolean;
}

/** Objects may be Lists. Workloads first, then the Services that send to them, wherever they stand. */
export function injectObjects(objects: readonly unknown[], options: FilterOptions): FilterResult {
  const items = objects.map(toItems);
  const namespaces = readNamespaces(items.flat().map(({ object }) => object));
  const patches: PatchOperation[][] = objects.map(() => []);
  const outcomes: Outcome[] = [];
  const injected: InjectedPods[] = [];
  const each = (visit: (item: Item, patch: PatchOperation[]) => void): void => {
    for (const [index, list] of items.entries()) for (const item of list) visit(item, patches[index] ?? []);
  };
  each((item, patch) => {
    for (const template of findTemplates(item.object)) {
      const wish = readWish(
        textsAt(template.pod, 'metadata', 'labels'),
        namespaces.get(textAt(item.object, 'metadata', 'namespace')) ?? {},
      );
      const subject = toSubject(item.object, template);
      if (wish.kind === 'unwanted' || (wish.kind === 'silent' && options.isLabelledOnly === true)) {
        const message = wish.kind === 'unwanted' ? wish.reason : 'no label asks for it';
        outcomes.push({ subject, kind: 'skipped', message, notes: [] });
        continue;
      }
      const done = injectTemplate(template, subject, options);
      patch.push(...done.patch.map((step) => withPrefix(step, item.pointer)));
      outcomes.push(done.outcome);
      if (done.pods !== null) {
        const own = applyPatch(item.object, done.patch);
        injected.push(toInjectedPods(item.object, findSame(own, template), options));
      }
    }
  });
  each((item, patch) => {
    const found = retarget(item.object, injected, options.version);
    if (found === null) return;
    patch.push(...found.patch.map((step) => withPrefix(step, item.pointer)));
    const isChanged = found.patch.length > 0;
    outcomes.push({
      subject: toSubject(item.object),
      kind: isChanged ? 'retargeted' : 'noted',
      message: isChanged ? 'sends to the agent' : 'stays as it is',
      notes: found.notes,
    });
  });
  return { patches, outcomes };
}

/** Takes the agent out of every object that carries a stamp of ours. */
export function uninjectObjects(objects: readonly unknown[]): FilterResult {
  const outcomes: Outcome[] = [];
  const patches = objects.map((object) =>
    toItems(object).flatMap((item) => {
      const own: PatchOperation[] = [];
      for (const template of findTemplates(item.object)) {
        const undone = template.treatment === 'label' ? unlabelTemplate(template.pod) : uninjectPod(template.pod);
        if (undone === null) continue;
        own.push(...undone.patch.map((step) => toTemplatePath(step, template)));
        outcomes.push({
          subject: toSubject(item.object, template),
          kind: 'removed',
          message: 'the agent is out',
          notes: undone.notes,
        });
      }
      const back = untarget(item.object);
      if (back !== null) {
        own.push(...back.patch);
        const subject = toSubject(item.object);
        outcomes.push({ subject, kind: 'removed', message: 'sends to the model again', notes: back.notes });
      }
      return own.map((step) => withPrefix(step, item.pointer));
    }),
  );
  return { patches, outcomes };
}

/** An object of the stream or of a List in it. */
interface Item {
  readonly object: unknown;
  /** Within the stream's object. */
  readonly pointer: string;
}

function toItems(object: unknown): Item[] {
  const isList = textAt(object, 'kind').endsWith('List') && Array.isArray(at(object, 'items'));
  if (!isList) return [{ object, pointer: '' }];
  return listAt(object, 'items').map((item, index) => ({ object: item, pointer: `/items/${index}` }));
}

function readNamespaces(objects: readonly unknown[]): Map<string, Readonly<Record<string, string>>> {
  const namespaces = objects.filter((object) => textAt(object, 'kind') === 'Namespace');
  return new Map(
    namespaces.map((object) => [textAt(object, 'metadata', 'name'), textsAt(object, 'metadata', 'labels')]),
  );
}

function injectTemplate(
  template: Template,
  subject: string,
  options: FilterOptions,
): { readonly patch: JsonPatch; readonly outcome: Outcome; readonly pods: boolean } {
  const { pod, takeover, notes } = template;
  const end = (kind: Outcome['kind'], message: string, more: readonly Note[], patch: JsonPatch = []) => ({
    patch: patch.map((step) => toTemplatePath(step, template)),
    outcome: { subject, kind, message, notes: more },
    pods: kind === 'injected' || kind === 'present',
  });
  if (template.treatment === 'label') {
    const labelled = labelTemplate(pod, options.version);
    if (labelled.length === 0) return { ...end('present', 'labelled already', notes), pods: false };
    return end('labelled', 'labelled: the webhook puts the agent into the pods that are made of it', notes, labelled);
  }
  // Templates are applied again and again, by server-side apply too, which refuses one number twice.
  const result = injectPod(pod, { takeover, hasDataAlias: false, ...options });
  switch (result.kind) {
    case 'injected': {
      const { status, issues } = result;
      const how = status.native ? 'a native sidecar' : 'an ordinary container';
      const message = `${how} before ${status.model.container}:${status.model.port}, device load: ${status.gpu}`;
      const bad = issues.map((issue) => ({
        message: formatIssue(issue),
        remedy: 'until then its default is in force',
      }));
      return end('injected', message, [...bad, ...result.notes, ...notes], result.patch);
    }
    case 'present': {
      const message = 'the agent is there already; to renew it: morphling uninject -f F | morphling inject -f -';
      return end('present', message, result.notes, result.patch);
    }
    case 'skipped':
      return end('skipped', result.reason, []);
    case 'refused':
      return end('refused', result.reason, [{ message: 'left as it is', remedy: result.remedy }]);
  }
}

function findSame(object: unknown, template: Template): Template {
  return findTemplates(object).find(({ specAt }) => specAt === template.specAt) ?? template;
}

function toInjectedPods(object: unknown, { pod }: Template, options: FilterOptions): InjectedPods {
  const status = readStatus(textsAt(pod, 'metadata', 'annotations'));
  const model = containersOf(pod).find(({ name }) => name === status?.model.container);
  // A name that stayed on an entry with the agent's number is as good as one that moved.
  const declared = model === undefined ? [] : portsOf(model).filter((port) => port.number === status?.ports.data);
  return {
    namespace: textAt(object, 'metadata', 'namespace'),
    labels: textsAt(pod, 'metadata', 'labels'),
    modelPort: status?.model.port ?? 0,
    dataPort: status?.ports.data ?? 0,
    names: [...(status?.undo.names ?? []).map(([, , name]) => name), ...declared.map(({ name }) => name)].filter(
      Boolean,
    ),
    isNameFound: status?.native === false || (toMinor(options.kubernetesVersion) ?? 0) >= NAMED_PORT_MINOR,
  };
}

/** A path of a pod as a path of the object that it lies in. */
function toTemplatePath(step: PatchOperation, { metadataAt, specAt }: Template): PatchOperation {
  const [, head = ''] = step.path.split('/', 2);
  const rest = step.path.slice(head.length + 1);
  return { ...step, path: (head === 'metadata' ? metadataAt : specAt) + rest };
}

function withPrefix(step: PatchOperation, prefix: string): PatchOperation {
  return { ...step, path: prefix + step.path };
}

function toSubject(object: unknown, template?: Template): string {
  const namespace = textAt(object, 'metadata', 'namespace');
  const name = textAt(object, 'metadata', 'name') || textAt(object, 'metadata', 'generateName') || '(no name)';
  const group = /workerGroupSpecs\/(\d+)/.exec(template?.specAt ?? '')?.[1];
  const part = group === undefined ? '' : ` worker group ${group}`;
  return `${namespace === '' ? '' : `${namespace} `}${textAt(object, 'kind').toLowerCase()}/${name}${part}`;
}

/** True when every workload that was asked for was refused: then the filter did nothing of what it was called for. */
export function isAllRefused(outcomes: readonly Outcome[]): boolean {
  const asked = outcomes.filter(({ kind }) => kind !== 'skipped' && kind !== 'noted' && kind !== 'retargeted');
  return asked.length > 0 && asked.every(({ kind }) => kind === 'refused');
}

/** The values of a stream as one: a List where there are several. */
export function toOneObject(values: readonly unknown[]): unknown {
  const objects = values.filter((value) => value !== null);
  if (objects.length === 1) return objects[0];
  const items = objects.flatMap((object) =>
    isRecord(object) && object['kind'] === 'List' ? [...listAt(object, 'items')] : [object],
  );
  return { apiVersion: 'v1', kind: 'List', items };
}
