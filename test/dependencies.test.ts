// What ships with us: few packages, none of which runs anything when it is installed, each under a licence that allows it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

const root = join(import.meta.dirname, '..');
const read = (file: string): unknown => JSON.parse(readFileSync(join(root, file), 'utf8'));
const { dependencies, optionalDependencies } = read('package.json') as Record<string, Record<string, string>>;
const lock = read('package-lock.json') as { lockfileVersion: number; packages: Record<string, Locked> };
/** Everything that an installation without development packages holds, optional packages included. */
const shipped = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);

/** Licences that an Apache-2.0 work may be combined with and shipped under. */
const LICENCES = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
]);

test('at most 12 packages are asked for and 120 come', () => {
  expect(Object.keys(dependencies ?? {}).length).toBeLessThanOrEqual(12);
  expect(shipped.length).toBeGreaterThan(5);
  expect(shipped.length).toBeLessThanOrEqual(120);
});

test('every package that is asked for is pinned to one version', () => {
  for (const [name, version] of Object.entries({ ...dependencies, ...optionalDependencies })) {
    expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+(?:-[\w.]+)?$/)]);
  }
});

test('no shipped package runs a script when it is installed', () => {
  expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path)).toEqual([]);
});

test('every shipped package is locked to its content', () => {
  expect(lock.lockfileVersion).toBe(3);
  for (const [path, { integrity }] of shipped) {
    expect([path, integrity]).toEqual([path, expect.stringMatching(/^sha512-/)]);
  }
});

test('every shipped package is under a licence of the list', () => {
  const others = shipped.filter(([, { license }]) => license === undefined || !LICENCES.has(license));
  expect(others.map(([path, { license }]) => `${path}: ${license ?? 'none'}`)).toEqual([]);
});
