import { readdirSync, readFileSync } from 'node:fs';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, test } from 'vitest';
import { applyPatch } from '../../src/core/json-patch.ts';
import {
  type FilterOptions,
  injectObjects,
  isAllRefused,
  toOneObject,
  uninjectObjects,
} from '../../src/inject/filter.ts';
import { at, containersOf, listAt, textAt } from '../../src/inject/pod.ts';

const OPTIONS: FilterOptions = { version: '0.0.0' };
const TEMPLATE = `
metadata: {labels: {app: m}}
spec: {containers: [{name: m, image: i, ports: [{name: http, containerPort: 8000}]}]}`;

function objects(text: string): unknown[] {
  return parseAllDocuments(text).map((document) => document.toJS() as unknown);
}

function run(list: readonly unknown[], options: Partial<FilterOptions> = {}) {
  const { patches, outcomes } = injectObjects(list, { ...OPTIONS, ...options });
  return { after: list.map((object, index) => applyPatch(object, patches[index] ?? [])), outcomes, patches };
}

/** A workload of a kind, with the template at the place where that kind has it. */
function workload(apiVersion: string, kind: string, path: readonly (string | number)[], template = TEMPLATE): unknown {
  const wrapped = path.reduceRight<unknown>(
    (inner, key) => (typeof key === 'number' ? [inner] : { [key]: inner }),
    parse(template) as unknown,
  );
  return { apiVersion, kind, metadata: { name: 'w', namespace: 'ml' }, ...(wrapped as object) };
}

const KINDS: [string, string, (string | number)[]][] = [
  ['v1', 'Pod', []],
  ['apps/v1', 'Deployment', ['spec', 'template']],
  ['apps/v1', 'StatefulSet', ['spec', 'template']],
  ['apps/v1', 'DaemonSet', ['spec', 'template']],
  ['apps/v1', 'ReplicaSet', ['spec', 'template']],
  ['batch/v1', 'Job', ['spec', 'template']],
  ['batch/v1', 'CronJob', ['spec', 'jobTemplate', 'spec', 'template']],
  ['argoproj.io/v1alpha1', 'Rollout', ['spec', 'template']],
  ['leaderworkerset.x-k8s.io/v1', 'LeaderWorkerSet', ['spec', 'leaderWorkerTemplate', 'leaderTemplate']],
  ['leaderworkerset.x-k8s.io/v1', 'LeaderWorkerSet', ['spec', 'leaderWorkerTemplate', 'workerTemplate']],
  ['ray.io/v1', 'RayService', ['spec', 'rayClusterConfig', 'headGroupSpec', 'template']],
  ['ray.io/v1', 'RayService', ['spec', 'rayClusterConfig', 'workerGroupSpecs', 0, 'template']],
  ['ray.io/v1', 'RayCluster', ['spec', 'headGroupSpec', 'template']],
];

describe('workloads', () => {
  test.each(KINDS)('%s %s at %j', (apiVersion, kind, path) => {
    const object = workload(apiVersion, kind, path);
    const { after, outcomes } = run([object]);
    expect(outcomes.map((one) => one.kind)).toEqual(['injected']);
    const pod = path.length === 0 ? after[0] : at(after[0], ...path);
    expect(textAt(pod, 'spec', 'initContainers', 0, 'name')).toBe('morphling-agent');
    expect(textAt(pod, 'metadata', 'annotations', 'morphling.io/status')).toContain('"version"');
    // Twice is once, and back is back.
    expect(run(after).patches).toEqual([[]]);
    expect(applyPatch(after[0], uninjectObjects(after).patches[0] ?? [])).toEqual(object);
  });

  test('other kinds, and the same words in other groups, are passed on', () => {
    const list = [
      { apiVersion: 'v1', kind: 'ConfigMap', data: {} },
      { apiVersion: 'example.com/v1', kind: 'Deployment', spec: { template: parse(TEMPLATE) as unknown } },
      null,
      7,
      'text',
      {},
    ];
    expect(run(list)).toMatchObject({ after: list, outcomes: [] });
  });

  test('a Lists members are patched in their places', () => {
    const list = {
      apiVersion: 'v1',
      kind: 'List',
      items: [{ kind: 'ConfigMap' }, workload('apps/v1', 'Deployment', ['spec', 'template'])],
    };
    const { patches, after } = run([list]);
    expect(patches[0]?.every(({ path }) => path.startsWith('/items/1/'))).toBe(true);
    expect(applyPatch(after[0], uninjectObjects(after).patches[0] ?? [])).toEqual(list);
  });

  test('only the leader of a LeaderWorkerSet gets an agent', () => {
    const both = { leaderTemplate: parse(TEMPLATE) as unknown, workerTemplate: parse(TEMPLATE) as unknown };
    const { after } = run([
      { apiVersion: 'leaderworkerset.x-k8s.io/v1', kind: 'LeaderWorkerSet', spec: { leaderWorkerTemplate: both } },
    ]);
    const at_ = (name: string) =>
      listAt(after[0], 'spec', 'leaderWorkerTemplate', name, 'spec', 'initContainers').length;
    expect([at_('leaderTemplate'), at_('workerTemplate')]).toEqual([1, 0]);
  });

  test('a template lists no number twice in one container, as server-side apply refuses that', () => {
    const { after } = run([workload('apps/v1', 'Deployment', ['spec', 'template'])]);
    const ports = listAt(after[0], 'spec', 'template', 'spec', 'initContainers', 0, 'ports').map((port) =>
      at(port, 'containerPort'),
    );
    expect(new Set(ports).size).toBe(ports.length);
  });
});

describe('opting in and out', () => {
  const labelled = (label: string) =>
    workload(
      'apps/v1',
      'Deployment',
      ['spec', 'template'],
      TEMPLATE.replace('app: m', `app: m, morphling.io/inject: "${label}"`),
    );
  const namespace = (value: string) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'ml', labels: { 'morphling.io/injection': value } },
  });
  const plain = workload('apps/v1', 'Deployment', ['spec', 'template']);

  test.each<[string, unknown[], boolean, string]>([
    ['no label, called for by hand', [plain], false, 'injected'],
    ['no label, labels only', [plain], true, 'skipped'],
    ['a pod that asks, labels only', [labelled('true')], true, 'injected'],
    ['enabled is as good as true', [labelled('enabled')], true, 'injected'],
    ['a pod that opts out', [labelled('false')], false, 'skipped'],
    ['a namespace that asks, labels only', [namespace('enabled'), plain], true, 'injected'],
    ['a pod that opts out of a namespace that asks', [namespace('enabled'), labelled('disabled')], true, 'skipped'],
    ['a namespace that opts out', [namespace('disabled'), plain], false, 'skipped'],
    ['a word that is neither yes nor no is no', [labelled('maybe')], false, 'skipped'],
  ])('%s', (_, list, isLabelledOnly, kind) => {
    expect(run(list, { isLabelledOnly }).outcomes.map((one) => one.kind)).toEqual([kind]);
  });

  test('a stream in which everything was refused says so', () => {
    const redis = workload(
      'apps/v1',
      'Deployment',
      ['spec', 'template'],
      TEMPLATE.replace('name: http, containerPort: 8000', 'containerPort: 6379'),
    );
    expect(isAllRefused(run([redis]).outcomes)).toBe(true);
    expect(isAllRefused(run([redis, plain]).outcomes)).toBe(false);
    expect(isAllRefused(run([labelled('false')]).outcomes)).toBe(false);
  });
});

describe('Services of the stream', () => {
  const deployment = workload('apps/v1', 'Deployment', ['spec', 'template']);
  const unnamed = workload('apps/v1', 'Deployment', ['spec', 'template'], TEMPLATE.replace('name: http, ', ''));
  const service = (ports: unknown, more: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'ml' },
    spec: { selector: { app: 'm' }, ports, ...more },
  });
  const targets = (object: unknown) => listAt(object, 'spec', 'ports').map((port) => at(port, 'targetPort'));

  test.each<[string, unknown, unknown[], FilterOptions | object, unknown[]]>([
    [
      'a number becomes the name, which pods have with and without the agent',
      deployment,
      [{ port: 80, targetPort: 8000 }],
      {},
      ['http'],
    ],
    ['a name stays', deployment, [{ port: 80, targetPort: 'http' }], {}, ['http']],
    ['no targetPort means the number of the port', deployment, [{ port: 8000 }], {}, ['http']],
    ['null is nothing too', deployment, [{ port: 8000, targetPort: null }], {}, ['http']],
    ['another number stays', deployment, [{ port: 80, targetPort: 8002 }], {}, [8002]],
    ['another protocol stays', deployment, [{ port: 80, targetPort: 8000, protocol: 'UDP' }], {}, [8000]],
    ['without a name, that of the agent', unnamed, [{ port: 80, targetPort: 8000 }], {}, ['morphling-data']],
    [
      'a number where names of native sidecars are not found',
      unnamed,
      [{ port: 80, targetPort: 8000 }],
      { kubernetesVersion: '1.30', native: 'true' },
      [19_480],
    ],
    [
      'a name where the agent is an ordinary container',
      unnamed,
      [{ port: 80, targetPort: 8000 }],
      { kubernetesVersion: '1.30' },
      ['morphling-data'],
    ],
    [
      'only the port that leads to the model',
      deployment,
      [
        { port: 1, targetPort: 8000 },
        { port: 2, targetPort: 8002 },
      ],
      {},
      ['http', 8002],
    ],
  ])('%s', (_, pods, ports, options, expected) => {
    // The Service may stand before what it sends to.
    const list = [service(ports), pods];
    const { after } = run(list, options);
    expect(targets(after[0])).toEqual(expected);
    expect(run(after, options).patches).toEqual([[], []]);
    const { patches } = uninjectObjects(after);
    expect(after.map((object, index) => applyPatch(object, patches[index] ?? []))).toEqual(list);
  });

  test.each([
    ['another namespace', { metadata: { name: 's', namespace: 'other' } }],
    ['another selector', { spec: { selector: { app: 'x' }, ports: [{ port: 80, targetPort: 8000 }] } }],
    ['no selector', { spec: { selector: {}, ports: [{ port: 80, targetPort: 8000 }] } }],
    ['a Service of Knative', { apiVersion: 'example.dev/v1' }],
  ])('%s is left alone', (_, more) => {
    const other = { ...service([{ port: 80, targetPort: 8000 }]), ...more };
    expect(run([deployment, other]).after[1]).toEqual(other);
  });

  test('a headless Service is told of, as its callers choose the port themselves', () => {
    const { outcomes } = run([deployment, service([{ port: 80, targetPort: 8000 }], { clusterIP: 'None' })]);
    expect(outcomes[1]?.notes.map(({ message }) => message).join()).toContain('headless');
  });

  test('sending to a port that pods without the agent do not have is told of', () => {
    const { outcomes } = run([unnamed, service([{ port: 80, targetPort: 8000 }])]);
    expect(outcomes[1]?.notes[0]?.message).toContain('pods without the agent have no port morphling-data');
    expect(run([deployment, service([{ port: 80, targetPort: 8000 }])]).outcomes[1]?.notes).toEqual([]);
  });

  test('what others have changed since is not undone', () => {
    const { after } = run([deployment, service([{ port: 80, targetPort: 8000 }])]);
    const changed = applyPatch(after[1], [{ op: 'replace', path: '/spec/ports/0/targetPort', value: 9999 }]);
    const { patches, outcomes } = uninjectObjects([changed]);
    expect(targets(applyPatch(changed, patches[0] ?? []))).toEqual([9999]);
    expect(outcomes[0]?.notes[0]?.message).toContain('changed since');
  });

  test.each([
    [
      'v1',
      'inference.networking.k8s.io/v1',
      { selector: { matchLabels: { app: 'm' } }, targetPorts: [{ number: 8000 }] },
    ],
    ['v1alpha2', 'inference.networking.x-k8s.io/v1alpha2', { selector: { app: 'm' }, targetPortNumber: 8000 }],
  ])('an InferencePool of %s gets the number of the agent', (_, apiVersion, spec) => {
    const pool = { apiVersion, kind: 'InferencePool', metadata: { name: 'p', namespace: 'ml' }, spec };
    const { after } = run([deployment, pool]);
    expect(at(after[1], 'spec', 'targetPorts', 0, 'number') ?? at(after[1], 'spec', 'targetPortNumber')).toBe(19_480);
    expect(run(after).patches).toEqual([[], []]);
    expect(applyPatch(after[1], uninjectObjects(after).patches[1] ?? [])).toEqual(pool);
  });

  test('a NetworkPolicy that would shut the agent out is told of and left alone', () => {
    const policy = (port: number) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'np', namespace: 'ml' },
      spec: { podSelector: {}, ingress: [{ ports: [{ port: 8000 }, { port }] }] },
    });
    const shut = run([deployment, policy(9000)]);
    expect(shut.outcomes[1]).toMatchObject({
      kind: 'noted',
      notes: [{ remedy: expect.stringContaining('add port 19480') as unknown }],
    });
    expect(shut.after[1]).toEqual(policy(9000));
    expect(run([deployment, policy(19_480)]).outcomes).toHaveLength(1);
  });
});

describe('objects of controllers that have the last word', () => {
  const knative = objects(`
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: k}
spec: {template: {spec: {containers: [{image: i}]}}}`);
  const serverless = objects(`
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: i}
spec: {predictor: {model: {modelFormat: {name: sklearn}}}}`);
  const llm = objects(`
apiVersion: serving.kserve.io/v1alpha1
kind: LLMInferenceService
metadata: {name: l}
spec: {model: {uri: 'hf://m'}}`);

  test.each([
    ['a Knative Service', knative, ['spec', 'template', 'metadata']],
    ['an InferenceService', serverless, ['spec', 'predictor']],
    ['an LLMInferenceService', llm, ['spec']],
  ])('%s is labelled for the webhook, once, and unlabelled', (_, list, path) => {
    const { after, outcomes } = run(list);
    expect(outcomes[0]?.kind).toBe('labelled');
    expect(textAt(after[0], ...path, 'labels', 'morphling.io/inject')).toBe('true');
    expect(run(after).patches).toEqual([[]]);
    expect(uninjectObjects(after).patches[0]?.length).toBeGreaterThan(0);
    expect(applyPatch(after[0], uninjectObjects(after).patches[0] ?? [])).toEqual(list[0]);
  });

  test('a label of the user is his', () => {
    const own = applyPatch(llm[0], [{ op: 'add', path: '/spec/labels', value: { 'morphling.io/inject': 'true' } }]);
    expect(run([own]).patches).toEqual([[]]);
    expect(uninjectObjects([own]).patches).toEqual([[]]);
  });

  test('a raw InferenceService with its own container declares the number that KServe copies into its Service', () => {
    const [raw] = objects(`
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: r, annotations: {serving.kserve.io/deploymentMode: RawDeployment}}
spec:
  predictor:
    containers: [{name: kserve-container, image: i, ports: [{name: http1, containerPort: 8080}], readinessProbe: {httpGet: {path: /, port: http1}}}]`);
    const { after } = run([raw]);
    const predictor = at(after[0], 'spec', 'predictor');
    const [model] = containersOf({ spec: predictor });
    expect(listAt(model?.raw, 'ports')).toEqual([{ name: 'http1', containerPort: 19_480 }]);
    expect(at(model?.raw, 'readinessProbe', 'httpGet', 'port')).toBe(8080);
    expect(listAt(predictor, 'initContainers', 0, 'args')).toContain('http://127.0.0.1:8080');
    expect(run(after).patches).toEqual([[]]);
    expect(applyPatch(after[0], uninjectObjects(after).patches[0] ?? [])).toEqual(raw);
  });
});

describe('the examples', () => {
  const folder = new URL('../../manifests/examples/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

  test.each(files)('%s does what its text says', (file) => {
    const list = objects(readFileSync(new URL(file, folder), 'utf8'));
    const { after, outcomes } = run(list, { isLabelledOnly: true });
    expect(outcomes.length).toBeGreaterThan(0);
    for (const outcome of outcomes) {
      expect(['injected', 'present', 'retargeted']).toContain(outcome.kind);
      const known = file === 'inferencepool.yaml' ? 1 : 0;
      expect(outcome.notes.length).toBeLessThanOrEqual(known);
    }
    expect(run(after, { isLabelledOnly: true }).patches.flat()).toEqual([]);
  });

  test('there is one for each platform', () => {
    expect(files.sort()).toEqual(
      expect.arrayContaining([
        'inferencepool.yaml',
        'kserve-raw.yaml',
        'kserve-serverless.yaml',
        'leaderworkerset.yaml',
        'llminferenceservice.yaml',
        'rayservice.yaml',
      ]),
    );
  });
});

test('one object stays alone, several become a List, Lists are opened', () => {
  expect(toOneObject([{ a: 1 }, null])).toEqual({ a: 1 });
  expect(toOneObject([{ kind: 'List', items: [1, 2] }, { a: 1 }])).toEqual({
    apiVersion: 'v1',
    kind: 'List',
    items: [1, 2, { a: 1 }],
  });
});
