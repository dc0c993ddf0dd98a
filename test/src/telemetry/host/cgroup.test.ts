import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { readCgroup, toHostReading, type CgroupSample } from '../../../../src/telemetry/host/cgroup.ts';

const GIB = 1 << 30;
const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function folder(files: Readonly<Record<string, string>>, name = ''): string {
  const base = mkdtempSync(join(tmpdir(), 'morphling-cgroup-'));
  roots.push(base);
  const root = join(base, name);
  mkdirSync(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const read = (files: Readonly<Record<string, string>>, name?: string) =>
  readCgroup({ root: folder(files, name), totalMemoryBytes: 64 * GIB });

const V2 = {
  'cpu.stat':
    'usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\nnr_periods 100\nnr_throttled 25\nthrottled_usec 9\n',
  'cpu.max': '200000 100000\n',
  'memory.current': '1048576\n',
  'memory.max': `${GIB}\n`,
};
const V1 = {
  'cpu/cpu.stat': 'nr_periods 100\nnr_throttled 25\nthrottled_time 9\n',
  'cpu/cpu.cfs_quota_us': '50000\n',
  'cpu/cpu.cfs_period_us': '100000\n',
  'cpuacct/cpuacct.usage': '5000000000\n',
  'memory/memory.usage_in_bytes': '1048576\n',
  'memory/memory.limit_in_bytes': `${GIB}\n`,
};

describe('readCgroup', () => {
  test('version 2', () => {
    expect(read(V2)).toEqual({
      cpuMs: 5000,
      cpuLimit: 2,
      periods: 100,
      throttledPeriods: 25,
      memoryUsedBytes: 1_048_576,
      memoryLimitBytes: GIB,
      source: 'container',
    });
  });

  test('version 1, and version 1 with cpu and cpuacct mounted together', () => {
    const expected = { ...read(V2), cpuLimit: 0.5 };
    expect(read(V1)).toEqual(expected);
    const together = Object.fromEntries(
      Object.entries(V1).map(([path, text]) => [path.replace(/^cpu(acct)?\//, 'cpu,cpuacct/'), text]),
    );
    expect(read(together)).toEqual(expected);
  });

  test.each([
    ['version 2', { ...V2, 'memory.max': 'max\n', 'cpu.max': 'max 100000\n' }],
    [
      'the sentinel of version 1',
      { ...V1, 'memory/memory.limit_in_bytes': '9223372036854771712\n', 'cpu/cpu.cfs_quota_us': '-1\n' },
    ],
    [
      'the sentinel of libuv',
      { ...V1, 'memory/memory.limit_in_bytes': '18446744073709552000\n', 'cpu/cpu.cfs_quota_us': '-1\n' },
    ],
  ])('no limit is null: %s', (_, files) => {
    expect(read(files)).toMatchObject({ memoryLimitBytes: null, cpuLimit: null, memoryUsedBytes: 1_048_576 });
  });

  test('the root group of a host is the node, never the container', () => {
    const { 'memory.current': _, ...hostV2 } = V2;
    expect(read(hostV2)).toBeNull();
    expect(read({ ...V1, 'memory/release_agent': '' })).toMatchObject({ source: 'node' });
  });

  test("a pod's folder is the pod", () => {
    expect(read(V2, 'kubepods-burstable-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice')).toMatchObject({
      source: 'pod',
    });
    expect(read(V2, 'kubepods/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0')).toMatchObject({ source: 'pod' });
  });

  test('missing, empty and garbled files are null figures, and no files at all no reading', () => {
    expect(read({})).toBeNull();
    expect(readCgroup({ root: '/nonexistent', totalMemoryBytes: GIB })).toBeNull();
    expect(read({ 'memory.current': '5\n' })).toMatchObject({ cpuMs: null, periods: null, memoryLimitBytes: null });
    expect(read({ ...V2, 'cpu.stat': 'usage_usec many\n', 'cpu.max': '???' })).toMatchObject({
      cpuMs: null,
      cpuLimit: null,
    });
  });
});

describe('toHostReading', () => {
  const sample = (fields: Partial<CgroupSample>): CgroupSample => ({ ...read(V2)!, ...fields });

  test('use over what is allowed: the quota, else all CPUs; throttled over periods', () => {
    const before = sample({});
    const now = sample({ cpuMs: 6000, periods: 110, throttledPeriods: 30 });
    expect(toHostReading(now, before, 1000, 8)).toMatchObject({
      cpuRatio: 0.5,
      throttledRatio: 0.5,
      cpuSource: 'container',
    });
    expect(toHostReading({ ...now, cpuLimit: null }, before, 1000, 8).cpuRatio).toBe(1 / 8);
  });

  test('the first reading, and one after the group was made anew, know no rates', () => {
    expect(toHostReading(sample({}), null, 0, 8)).toMatchObject({
      cpuRatio: null,
      throttledRatio: null,
      memoryUsedBytes: 1_048_576,
    });
    expect(toHostReading(sample({ cpuMs: 1, periods: 0, throttledPeriods: 0 }), sample({}), 1000, 8)).toMatchObject({
      cpuRatio: null,
      throttledRatio: null,
    });
  });
});
