// Where pods lie in the objects of a stream, and what can be done with them there.
import { INJECT_PREFIX } from '../config/inject-fields.ts';
import { toPointer } from '../core/json-patch.ts';
import { at, containersOf, isRecord, listAt, type PodLike, portsOf, textAt, textsAt } from './pod.ts';
import type { Note, Takeover } from './result.ts';

/** A pod inside another object. */
export interface Template {
  /** Pointers to what is the pod's `metadata` and `spec`. */
  readonly metadataAt: string;
  readonly specAt: string;
  readonly pod: PodLike;
  /** `label`: its controller would refuse or ignore a container of ours, so the webhook injects the pods it makes. */
  readonly treatment: 'inject' | 'label';
  readonly takeover: Takeover;
  readonly notes: readonly Note[];
}

/** Kinds with an ordinary pod template, and where it is. */
const PLAIN: Readonly<Record<string, readonly string[]>> = {
  'Pod/': [],
  'ReplicationController/': ['spec', 'template'],
  'Deployment/apps': ['spec', 'template'],
  'StatefulSet/apps': ['spec', 'template'],
  'DaemonSet/apps': ['spec', 'template'],
  'ReplicaSet/apps': ['spec', 'template'],
  'Job/batch': ['spec', 'template'],
  'CronJob/batch': ['spec', 'jobTemplate', 'spec', 'template'],
  'Rollout/argoproj.io': ['spec', 'template'],
};

/** Of one object; empty for objects without pods. */
export function findTemplates(object: unknown): Template[] {
  const kind = `${textAt(object, 'kind')}/${toGroup(textAt(object, 'apiVersion'))}`;
  const plain = PLAIN[kind];
  if (plain !== undefined) return toTemplates(object, plain);
  switch (kind) {
    case 'LeaderWorkerSet/leaderworkerset.x-k8s.io': {
      const base = ['spec', 'leaderWorkerTemplate'];
      // Requests come to the leader; workers answer to it alone.
      const name = isRecord(at(object, ...base, 'leaderTemplate')) ? 'leaderTemplate' : 'workerTemplate';
      return toTemplates(object, [...base, name]);
    }
    case 'RayService/ray.io':
      return findRay(object, ['spec', 'rayClusterConfig']);
    case 'RayCluster/ray.io':
      return findRay(object, ['spec']);
    case 'InferenceService/serving.kserve.io':
      return findKserve(object);
    case 'LLMInferenceService/serving.kserve.io':
      return toLabelled(
        object,
        ['spec'],
        [
          {
            message: 'KServe makes its Service and InferencePool with port 8000, which is the model itself',
            remedy: 'move the model and put the agent on 8000, as in manifests/examples/llminferenceservice.yaml',
          },
        ],
      );
    case 'Service/serving.knative.dev':
    case 'Configuration/serving.knative.dev':
      return toLabelled(object, ['spec', 'template', 'metadata'], []);
    default:
      return [];
  }
}

/** `apps/v1` is of the group apps, `v1` of the core group, which is empty. */
export function toGroup(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

function toTemplates(
  object: unknown,
  path: readonly (string | number)[],
  takeover: Takeover = 'move',
  notes: readonly Note[] = [],
): Template[] {
  const template = path.length === 0 ? object : at(object, ...path);
  if (!isRecord(template)) return [];
  const base = toPointer(path);
  return [
    {
      metadataAt: `${base}/metadata`,
      specAt: `${base}/spec`,
      pod: { metadata: template['metadata'], spec: template['spec'] },
      treatment: 'inject',
      takeover,
      notes,
    },
  ];
}

/** KubeRay reads the head's ports for a Service of its own, so they stay; `data-port` puts the agent on that number. */
function findRay(object: unknown, path: readonly string[]): Template[] {
  const note: Note = {
    message: "KubeRay's own Service still leads to the model itself",
    remedy: 'move Ray Serve to another port and put the agent in its place, as in manifests/examples/rayservice.yaml',
  };
  const headAt = [...path, 'headGroupSpec', 'template'];
  const isInItsPlace = textAt(object, ...headAt, 'metadata', 'annotations', `${INJECT_PREFIX}data-port`) !== '';
  const head = toTemplates(object, headAt, 'keep', isInItsPlace ? [] : [note]);
  const workers = listAt(object, ...path, 'workerGroupSpecs').flatMap((_, index) =>
    toTemplates(object, [...path, 'workerGroupSpecs', index, 'template'], 'keep'),
  );
  return [...head, ...workers.filter(({ pod }) => containersOf(pod).some((one) => portsOf(one).length > 0))];
}

/**
 * A predictor is a pod spec with labels and annotations beside it. In raw mode KServe makes a Service to the number
 * that the first container declares; in serverless mode Knative refuses a second container with ports.
 */
function findKserve(object: unknown): Template[] {
  const predictor = at(object, 'spec', 'predictor');
  const mode = textAt(object, 'metadata', 'annotations', 'serving.kserve.io/deploymentMode');
  const isRaw = mode === 'RawDeployment' || mode === 'Standard';
  if (isRaw && listAt(predictor, 'containers').length > 0) {
    const { labels, annotations, ...spec } = isRecord(predictor) ? predictor : {};
    const pod = { metadata: { labels, annotations }, spec };
    const base = '/spec/predictor';
    return [{ metadataAt: base, specAt: base, pod, treatment: 'inject', takeover: 'declare', notes: [] }];
  }
  const notes: Note[] = isRaw
    ? [
        {
          message: 'KServe makes a Service to the number that the runtime declares, which is the model itself',
          remedy: 'let the runtime declare the number of the data port, as in manifests/examples/kserve-raw.yaml',
        },
      ]
    : [];
  return toLabelled(object, ['spec', 'predictor'], notes);
}

/** Whoever says where model or agent listen knows what the notes would tell. */
function toLabelled(object: unknown, path: readonly string[], notes: readonly Note[]): Template[] {
  const base = toPointer(path);
  const holder = at(object, ...path);
  if (holder !== undefined && holder !== null && !isRecord(holder)) return [];
  const annotations = textsAt(holder, 'annotations');
  const isKnown = ['port', 'data-port'].some((key) => annotations[INJECT_PREFIX + key] !== undefined);
  return [
    {
      metadataAt: base,
      specAt: base,
      pod: { metadata: holder },
      treatment: 'label',
      takeover: 'keep',
      notes: isKnown ? [] : notes,
    },
  ];
}
