import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { INJECT_FIELDS } from '../../src/config/inject-fields.ts';
import { checkValue } from '../../src/config/check.ts';
import { parseOptions } from '../../src/cli/inject.ts';
import { readKnobs } from '../../src/inject/knobs.ts';
import { chooseNative, toMinor } from '../../src/inject/native.ts';
import { readWish } from '../../src/inject/opt-in.ts';
import { choosePorts } from '../../src/inject/ports.ts';
import { isGuaranteed } from '../../src/inject/qos.ts';
import { toBytes, toMillicores } from '../../src/inject/quantity.ts';

const P = 'config.morphling.io/';

describe('annotations', () => {
  test.each([
    ['mode', 'cost'],
    ['sla-p99-ms', '12.5'],
    ['port', '8000'],
    ['port', 'http1'],
    ['data-port', '8000'],
    ['image', 'registry.example:5000/a/b-c/morphling:1.2.3'],
    ['image', `morphling@sha256:${'0'.repeat(64)}`],
    ['cpu-request', '0.25'],
    ['memory-limit', '1.5Gi'],
    ['tuning-policy', 'gold.v1'],
    ['model', 'meta-llama/Llama 3:8b'],
    ['native', 'false'],
  ])('%s takes %s', (key, value) => {
    expect(readKnobs({ [P + key]: value })).toEqual({ knobs: { [key]: value }, issues: [] });
  });

  test.each([
    ['mode', 'fast'],
    ['sla-p99-ms', '-1'],
    ['sla-p99-ms', '1e9'],
    ['port', '0'],
    ['port', 'Http'],
    ['port', 'a-name-that-is-too-long'],
    ['data-port', '80'],
    ['data-port', 'http'],
    ['image', 'morphling latest'],
    ['image', 'Morphling'],
    ['image', '--privileged'],
    ['cpu-limit', '0'],
    ['memory-request', 'lots'],
    ['memory-limit', '64Mi'],
    ['native', 'yes'],
    ['log-level', 'loud'],
    ['model', 'a"b'],
  ])('%s refuses %s, and names the field', (key, value) => {
    const { knobs, issues } = readKnobs({ [P + key]: value });
    expect(knobs).toEqual({});
    expect(issues.map(({ field }) => field)).toEqual([P + key]);
  });

  test('a request above its limit goes back to the default, whether the limit is given or not', () => {
    expect(readKnobs({ [`${P}memory-request`]: '2Gi' }).issues[0]?.field).toBe(`${P}memory-request`);
    expect(readKnobs({ [`${P}memory-request`]: '2Gi', [`${P}memory-limit`]: '4Gi' }).issues).toEqual([]);
    expect(readKnobs({ [`${P}cpu-request`]: '8' }).issues).toEqual([]);
  });

  test('of a pod win over what stands in for them', () => {
    expect(readKnobs({ [`${P}mode`]: 'cost' }, { mode: 'performance', port: '1' }).knobs).toEqual({
      mode: 'cost',
      port: '1',
    });
  });

  test('never throw, whatever they say', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(INJECT_FIELDS), '__proto__', 'constructor', ''),
        fc.string(),
        (key, value) => {
          const { knobs, issues } = readKnobs({ [P + key]: value });
          expect(Object.keys(knobs).length + issues.length).toBeLessThanOrEqual(2);
        },
      ),
    );
  });

  test('the table: every default is one that its own field takes', () => {
    for (const [key, field] of Object.entries(INJECT_FIELDS)) {
      if (field.default !== undefined) expect([key, checkValue(field.schema, field.default, key)]).toEqual([key, []]);
      expect(field.doc).toMatch(/\.$/);
    }
  });
});

describe('native or not', () => {
  test.each([
    // wanted, minor, ends by itself -> native
    ['auto', 33, false, true],
    ['auto', 32, false, false],
    ['auto', 32, true, true],
    ['auto', 29, true, true],
    ['true', 30, false, true],
    ['false', 35, false, false],
    ['true', 28, false, false],
  ] as const)('%s on 1.%i, ends alone %s: %s', (wanted, minor, endsAlone, isNative) => {
    expect(chooseNative(wanted, minor, endsAlone)).toMatchObject({ isNative });
  });

  test.each([
    ['false', 35],
    ['auto', 28],
    ['true', 28],
  ] as const)('a pod that ends by itself is refused an ordinary container: %s on 1.%i', (wanted, minor) => {
    expect(chooseNative(wanted, minor, true)).toMatchObject({ kind: 'refused' });
  });

  test.each([
    ['1.33', 33],
    ['v1.35.4', 35],
    ['1.32+', 32],
    ['v1.31.2-gke.1', 31],
    ['2.0', null],
    ['new', null],
    ['1.', null],
  ])('the version %s', (text, minor) => {
    expect(toMinor(text)).toBe(minor);
  });
});

test('the pod wins over its namespace, and no label means that nobody asked', () => {
  const label = (value: string) => ({ 'morphling.io/inject': value });
  const namespace = { 'morphling.io/injection': 'enabled' };
  expect(readWish({}, {}).kind).toBe('silent');
  expect(readWish({}, namespace).kind).toBe('wanted');
  expect(readWish(label('false'), namespace).kind).toBe('unwanted');
  expect(readWish(label('true'), { 'morphling.io/injection': 'disabled' }).kind).toBe('wanted');
  expect(readWish(label('True'), namespace)).toMatchObject({
    reason: expect.stringContaining('expected true') as unknown,
  });
});

describe('ports', () => {
  const pod = (...numbers: number[]) => ({
    spec: { containers: [{ name: 'c', ports: numbers.map((containerPort) => ({ containerPort })) }] },
  });

  test.each([
    [[], [19_480, 19_464, 19_465]],
    [[19_464], [19_480, 19_466, 19_465]],
    [[19_465], [19_480, 19_464, 19_466]],
    [
      [19_480, 19_481],
      [19_482, 19_464, 19_465],
    ],
  ])('beside %j they are %j', (taken, expected) => {
    const { data, metrics, control } = choosePorts(pod(...taken));
    expect([data, metrics, control]).toEqual(expected);
  });

  test('are three, free, and ports, whatever is taken and wanted', () => {
    const numbers = fc.array(
      fc.oneof(fc.integer({ min: 19_460, max: 19_490 }), fc.integer({ min: 65_530, max: 65_535 })),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(numbers, fc.constantFrom(19_480, 19_464, 65_535, 8000), (taken, data) => {
        const chosen = Object.values(choosePorts(pod(...taken), data));
        expect(new Set(chosen).size).toBe(3);
        for (const port of chosen) {
          expect(taken).not.toContain(port);
          expect(port).toBeLessThanOrEqual(65_535);
        }
      }),
    );
  });
});

test('quantities', () => {
  expect([toBytes('1Ki'), toBytes('1k'), toBytes('1.5Gi'), toBytes('7'), toBytes('x')]).toEqual([
    1024,
    1000,
    1.5 * 2 ** 30,
    7,
    NaN,
  ]);
  expect([toMillicores('250m'), toMillicores('0.25'), toMillicores('2'), toMillicores('')]).toEqual([
    250,
    250,
    2000,
    NaN,
  ]);
  expect(
    isGuaranteed({ containers: [{ resources: { limits: { cpu: 1, memory: '1Gi' }, requests: { cpu: '1000m' } } }] }),
  ).toBe(true);
  expect(isGuaranteed({ containers: [{ resources: { limits: { memory: '1Gi' } } }] })).toBe(false);
  expect(isGuaranteed({})).toBe(false);
});

describe('the command line of inject', () => {
  const call = (over: object) => ({ texts: {}, flags: new Set<string>(), lists: {}, ...over });

  test('becomes options', () => {
    const options = parseOptions(
      call({
        texts: {
          image: 'm:1',
          native: 'true',
          gpu: 'dcgm',
          'dcgm-url': 'http://d:9400/metrics',
          'kubernetes-version': '1.32',
        },
        flags: new Set(['labelled', 'ipv6']),
        lists: { set: ['port=8080', 'model=a=b'] },
      }),
    );
    expect(options).toMatchObject({
      image: 'm:1',
      native: 'true',
      gpu: 'dcgm',
      dcgmUrl: 'http://d:9400/metrics',
      kubernetesVersion: '1.32',
      listenHost: '[::]',
      isLabelledOnly: true,
      defaults: { port: '8080', model: 'a=b' },
    });
  });

  test.each([
    [{ lists: { set: ['port'] } }, '--set: expected KEY=VALUE'],
    [{ lists: { set: ['prot=1'] } }, 'did you mean port?'],
    [{ texts: { 'kubernetes-version': 'new' } }, '--kubernetes-version: expected'],
    [{ texts: { 'dcgm-url': 'ftp://x' } }, '--dcgm-url: expected a URL'],
  ])('%j is refused in words', (over, words) => {
    expect(parseOptions(call(over))).toContain(words);
  });
});
