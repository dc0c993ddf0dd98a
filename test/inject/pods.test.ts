import { describe, expect, test } from 'vitest';
import { parseAgentConfig } from '../../src/config/agent.ts';
import { AGENT_FIELDS } from '../../src/config/agent-fields.ts';
import { toYamlDocument } from '../../src/config/yaml-stream.ts';
import { applyPatch } from '../../src/core/json-patch.ts';
import { injectPod } from '../../src/inject/inject.ts';
import { at, containersOf, isRecord, listAt, type PodLike, textAt } from '../../src/inject/pod.ts';
import { uninjectPod } from '../../src/inject/uninject.ts';
import { loadPods } from './fixtures.ts';
import { findFaults } from './pod-rules.ts';
import { findViolations } from './pod-security.ts';

const fixtures = loadPods();
const injected = fixtures.flatMap((fixture) => {
  const result = injectPod(fixture.pod, fixture.options);
  if (result.kind !== 'injected') return [];
  return [{ ...fixture, result, after: applyPatch(fixture.pod, result.patch) as PodLike }];
});

test('there are enough fixtures, and most of them can be injected', () => {
  expect(fixtures.length).toBeGreaterThanOrEqual(60);
  expect(injected.length).toBeGreaterThanOrEqual(60);
});

describe('a pod', () => {
  test.each(fixtures)('$name becomes what is agreed', async ({ name, pod, options }) => {
    const result = injectPod(pod, options);
    await expect(toYamlDocument(JSON.parse(JSON.stringify(result)))).toMatchFileSnapshot(
      `../fixtures/pods/golden/${name}.yaml`,
    );
  });

  test.each(injected)('$name is injected once: a second run is an empty patch', ({ after, options }) => {
    expect(injectPod(after, options)).toMatchObject({ kind: 'present', patch: [] });
  });

  test.each(injected)('$name comes back as it was', ({ pod, after }) => {
    const before = structuredClone(pod);
    const annotations = at(before, 'metadata', 'annotations');
    // A stamp that was there by mistake cannot be told from ours.
    if (isRecord(annotations)) Reflect.deleteProperty(annotations, 'morphling.io/status');
    expect(applyPatch(after, uninjectPod(after)?.patch ?? [])).toEqual(before);
  });

  test.each(injected)('$name passes Pod Security restricted if it did before', ({ pod, after }) => {
    expect(findViolations(after)).toEqual(findViolations(pod));
    if (textAt(pod, 'metadata', 'name') === 'plain') expect(findViolations(after)).toEqual([]);
  });

  test.each(injected)('$name has nothing that the API server would refuse', ({ after }) => {
    expect(findFaults(after)).toEqual([]);
  });

  test.each(injected)(
    '$name is patched by single add and replace steps, its own lists only appended to',
    ({ pod, result }) => {
      for (const step of result.patch) {
        expect(['add', 'replace']).toContain(step.op);
        const keys = step.path.slice(1).split('/');
        if (step.op === 'replace') expect(Array.isArray(at(pod, ...keys))).toBe(false);
        // An index in an `add` would push others aside.
        if (step.op === 'add') expect(keys.at(-1)).not.toMatch(/^\d+$/);
      }
    },
  );

  test.each(injected)('$name gives the agent arguments that it understands', ({ after }) => {
    const agent = [...containersOf(after), ...containersOf(after, 'initContainers')].find(
      ({ name }) => name === 'morphling-agent',
    );
    const args = listAt(agent?.raw, 'args').map(String);
    expect(args.slice(0, 2)).toEqual(['agent', '--fail-open']);
    const flags: Record<string, string> = {};
    for (let index = 2; index < args.length; index += 2) flags[args[index]?.slice(2) ?? ''] = args[index + 1] ?? '';
    const known = Object.values(AGENT_FIELDS).map(({ flag }) => flag);
    for (const flag of Object.keys(flags)) expect(known).toContain(flag);
    const env = Object.fromEntries(
      listAt(agent?.raw, 'env').map((one) => [
        textAt(one, 'name'),
        textAt(one, 'value').replace('$(NODE_IP)', '10.0.0.1'),
      ]),
    );
    const config = parseAgentConfig({ env, flags, failOpen: true });
    expect(config.invalid).toEqual([]);
    expect(config.listen.port).toBe(at(agent?.raw, 'ports', 0, 'containerPort'));
    expect(config.upstream).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(config.control.host).toBe('127.0.0.1');
    // The mind is ended well before the kernel ends the container.
    expect(3 * config.mind.rssLimitBytes).toBeLessThanOrEqual(
      toBytes(textAt(agent?.raw, 'resources', 'limits', 'memory')),
    );
  });

  test.each(injected)('$name keeps every image, command and variable of the user', ({ name, pod, after }) => {
    for (const container of containersOf(pod)) {
      const same = containersOf(after).find(({ index }) => index === container.index);
      const touched = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'];
      const isToldOfUs = container.name === 'queue-proxy' || container.name === 'agent';
      const drop = (raw: object) =>
        Object.fromEntries(
          Object.entries(raw).filter(([key]) => !touched.includes(key) && !(isToldOfUs && /env|args/.test(key))),
        );
      expect(drop(same?.raw ?? {})).toEqual(drop(container.raw));
      // The same numbers in the same order, but for a name that another container has too.
      if (name === 'two-candidates') continue;
      const numbers = (raw: object) =>
        listAt(raw, 'ports').map((port) => [at(port, 'containerPort'), at(port, 'hostPort')]);
      expect(numbers(same?.raw ?? {})).toEqual(numbers(container.raw));
    }
  });
});

function toBytes(text: string): number {
  return Number.parseInt(text, 10) * (text.endsWith('Gi') ? 2 ** 30 : 2 ** 20);
}
