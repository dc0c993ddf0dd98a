// Pods that nobody would write by hand: whatever they are, injection does not throw, does it once, and can be undone.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPatch, isEqualJson } from '../../src/core/json-patch.ts';
import { injectPod } from '../../src/inject/inject.ts';
import { containersOf, type PodLike } from '../../src/inject/pod.ts';
import type { InjectOptions } from '../../src/inject/result.ts';
import { uninjectPod } from '../../src/inject/uninject.ts';
import { findFaults } from './pod-rules.ts';
import { findViolations } from './pod-security.ts';

const portName = fc.constantFrom(
  'http',
  'http1',
  'grpc',
  'metrics',
  'h2c',
  'user-port',
  'morphling-data',
  'p',
  'https',
);
const portNumber = fc.constantFrom(80, 8000, 8001, 8080, 8443, 6379, 19_464, 19_465, 19_466, 19_480, 19_481);
const port = fc.record(
  { name: portName, containerPort: portNumber, protocol: fc.constantFrom('TCP', 'UDP'), hostPort: fc.constant(0) },
  { requiredKeys: ['containerPort'] },
);
/** The API server takes a name once in a container. */
const ports = (maxLength: number) =>
  fc
    .array(port, { maxLength })
    .map((list) =>
      list.filter((one, index) => one.name === undefined || list.findIndex(({ name }) => name === one.name) === index),
    );
const target = fc.oneof(portName, portNumber);
const probe = fc.oneof(
  fc.record({ httpGet: fc.record({ path: fc.constant('/r'), port: target }) }),
  fc.record({ tcpSocket: fc.record({ port: target }) }),
  fc.constant(null),
);
const container = fc.record(
  {
    image: fc.constant('example/model:1'),
    ports: fc.oneof(ports(4), fc.constant(null)),
    env: fc.constantFrom(null, [], [{ name: 'USER_PORT', value: '8080' }]),
    readinessProbe: probe,
    livenessProbe: probe,
    lifecycle: fc.oneof(fc.constant(null), fc.record({ postStart: probe, preStop: probe }, { requiredKeys: [] })),
    resources: fc.constantFrom(null, {}, { limits: { 'nvidia.com/gpu': 1 } }, { claims: [{ name: 'gpu' }] }),
  },
  { requiredKeys: ['image'] },
);
const containers = fc
  .uniqueArray(fc.constantFrom('model', 'kserve-container', 'queue-proxy', 'agent', 'istio-proxy', 'b', 'c'), {
    maxLength: 5,
  })
  .chain((names) => fc.tuple(...names.map((name) => container.map((raw) => ({ name, ...raw })))));
const sidecars = fc.oneof(
  fc.constant(null),
  fc
    .array(fc.record({ image: fc.constant('example/side:1'), ports: ports(2) }), {
      maxLength: 2,
    })
    .map((list) => list.map((raw, index) => ({ name: `side-${index}`, restartPolicy: 'Always', ...raw }))),
);
const annotations = fc.oneof(
  fc.constant(null),
  fc.dictionary(
    fc.constantFrom(
      'a',
      'config.morphling.io/port',
      'config.morphling.io/mode',
      'config.morphling.io/memory-limit',
      'config.morphling.io/nonsense',
    ),
    fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('8000', 'http', 'cost', '1Gi', '9999999')),
  ),
);
const pod = fc.record(
  {
    metadata: fc.oneof(
      fc.constant(null),
      fc.record({ name: fc.constant('p'), annotations, labels: fc.constant(null) }, { requiredKeys: [] }),
    ),
    spec: fc.record(
      {
        containers,
        initContainers: sidecars,
        volumes: fc.constantFrom(null, [], [{ name: 'v', emptyDir: {} }], [{ name: 'morphling-state', emptyDir: {} }]),
        resourceClaims: fc.constantFrom(null, [{ name: 'gpu' }]),
        restartPolicy: fc.constantFrom('Always', 'Never'),
        terminationGracePeriodSeconds: fc.constantFrom(0, 3, 30, 300),
      },
      { requiredKeys: ['containers'] },
    ),
  },
  { requiredKeys: ['spec'] },
);
const options: fc.Arbitrary<InjectOptions> = fc.record(
  {
    version: fc.constant('0.0.0'),
    native: fc.constantFrom('auto', 'true', 'false'),
    kubernetesVersion: fc.constantFrom('1.28', '1.29', '1.32', '1.33', 'v1.35.4'),
    gpu: fc.constantFrom('auto', 'dra', 'legacy', 'dcgm', 'inferred'),
    takeover: fc.constantFrom('move', 'declare', 'keep'),
    hasDataAlias: fc.boolean(),
  },
  { requiredKeys: ['version'] },
);

describe('injection', () => {
  test('is done once, whole, and can be undone, on 2,000 random pods', () => {
    let count = 0;
    fc.assert(
      fc.property(pod, options, (pod, options) => {
        const frozen = JSON.stringify(pod);
        const result = injectPod(pod, options);
        expect(JSON.stringify(pod)).toBe(frozen);
        if (result.kind !== 'injected') return;
        count += 1;
        const after = applyPatch(pod, result.patch) as PodLike;
        expect(injectPod(after, options)).toMatchObject({ kind: 'present', patch: [] });
        expect(isEqualJson(applyPatch(after, uninjectPod(after)?.patch ?? []), pod)).toBe(true);
        // A user who gives a port our own name in a third container keeps it.
        const faults = findFaults(after).filter((fault) => !fault.includes('called morphling-data'));
        expect(faults).toEqual([]);
        expect(findViolations(after)).toEqual(findViolations(pod));
        for (const container of containersOf(pod)) {
          const same = containersOf(after).find(({ index }) => index === container.index);
          expect([same?.name, same?.raw['image'], same?.raw['resources']]).toEqual([
            container.name,
            container.raw['image'],
            container.raw['resources'],
          ]);
        }
      }),
      { numRuns: 2000, seed: 7 },
    );
    expect(count).toBeGreaterThan(500);
  });

  test('never throws for anything that JSON can hold', () => {
    const junk = fc.jsonValue({ maxDepth: 4 });
    const odd = fc.record(
      {
        metadata: fc.oneof(junk, fc.record({ annotations: junk, labels: junk })),
        spec: fc.oneof(
          junk,
          fc.record({
            containers: fc.oneof(
              junk,
              fc.array(fc.oneof(junk, fc.record({ name: junk, ports: fc.oneof(junk, fc.array(junk)), env: junk }))),
            ),
            initContainers: junk,
            volumes: junk,
          }),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(odd, (pod) => {
        const result = injectPod(pod, { version: '0.0.0' });
        if (result.kind === 'injected' || result.kind === 'present') applyPatch(pod, result.patch);
        uninjectPod(pod);
      }),
      { numRuns: 3000, seed: 11 },
    );
  });

  test('it does not matter whether another injector comes before or after', () => {
    const model = { name: 'kserve-container', image: 'm', ports: [{ name: 'user-port', containerPort: 8080 }] };
    const proxy = {
      name: 'queue-proxy',
      image: 'q',
      env: [
        { name: 'USER_PORT', value: '8080' },
        { name: 'SERVING_READINESS_PROBE', value: '{"tcpSocket":{"port":8080,"host":"127.0.0.1"}}' },
      ],
    };
    const agent = {
      name: 'agent',
      image: 'a',
      args: ['--component-port', '8080'],
      ports: [{ name: 'agent-port', containerPort: 9081 }],
    };
    const inject = (pod: PodLike): PodLike => {
      const result = injectPod(pod, { version: '0.0.0' });
      return result.kind === 'injected' || result.kind === 'present' ? (applyPatch(pod, result.patch) as PodLike) : pod;
    };
    const early = inject({ metadata: { name: 'p' }, spec: { containers: [model] } });
    const late = {
      ...early,
      spec: { ...(early.spec as object), containers: [...containersOf(early).map(({ raw }) => raw), proxy, agent] },
    };
    const after = inject(late);
    const before = inject({ metadata: { name: 'p' }, spec: { containers: [model, proxy, agent] } });
    expect(after.spec).toEqual(before.spec);
    expect(injectPod(after, { version: '0.0.0' })).toMatchObject({ kind: 'present', patch: [] });
    const undone = applyPatch(after, uninjectPod(after)?.patch ?? []);
    expect(undone).toEqual({ metadata: { name: 'p' }, spec: { containers: [model, proxy, agent] } });
  });
});
