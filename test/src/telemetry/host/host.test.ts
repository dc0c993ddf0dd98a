import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createHost, type HostOptions, type HostSource } from '../../../../src/telemetry/host/host.ts';
import { parseProcessStat, parseResident, readProcess } from '../../../../src/telemetry/host/proc.ts';
import { until } from '../../../contract/accelerator.ts';

const open: HostSource[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function started(options: Partial<HostOptions>): HostSource {
  const host = createHost({ cgroupRoot: '/nonexistent', intervalMs: () => 10, ...options });
  open.push(host);
  host.start();
  return host;
}

describe('createHost', () => {
  test('a control group comes first, and gives rates from its second reading', async () => {
    const root = mkdtempSync(join(tmpdir(), 'morphling-host-'));
    folders.push(root);
    writeFileSync(join(root, 'memory.current'), '77');
    writeFileSync(join(root, 'cpu.stat'), 'usage_usec 1000\n');
    const host = started({ cgroupRoot: root });
    await until(() => host.reading()?.cpuRatio === 0, 'a second reading');
    expect(host.reading()).toMatchObject({ cpuSource: 'container', memoryUsedBytes: 77 });
  });

  test('where groups tell nothing it is the node, and says so', async () => {
    const host = started({ readNode: async () => ({ cpuRatio: 0.25, memoryUsedBytes: 5, memoryTotalBytes: 10 }) });
    await until(() => host.reading() !== null, 'a reading');
    expect(host.reading()).toEqual({
      cpuRatio: 0.25,
      cpuSource: 'node',
      throttledRatio: null,
      memoryUsedBytes: 5,
      memoryLimitBytes: 10,
    });
  });

  test("the node's load is read with systeminformation by default", async () => {
    const host = started({});
    await until(() => host.reading() !== null, 'a reading');
    expect(host.reading()!.cpuSource).toBe('node');
    expect(host.reading()!.memoryLimitBytes).toBeGreaterThan(1 << 28);
  });

  test('last comes the process itself; when nothing works there is an error and no reading', async () => {
    const broken = { readNode: () => Promise.reject(new Error('no')) };
    const own = started(broken);
    await until(() => own.reading()?.cpuRatio != null, 'a second reading');
    expect(own.reading()).toMatchObject({ cpuSource: 'process', memoryLimitBytes: null });
    const none = started({ ...broken, procRoot: '/nonexistent' });
    await until(() => none.health(performance.now()).errors > 0, 'an error');
    expect(none.reading()).toBeNull();
    expect(none.health(performance.now()).lastError).toContain('no control group');
  });
});

describe('/proc', () => {
  test('this process has CPU time and memory; one that is gone has none', () => {
    expect(readProcess('/proc', 'self')!.residentBytes).toBeGreaterThan(1 << 20);
    expect(readProcess('/proc', 0x7fffffff)).toBeNull();
  });

  test('a process name with spaces and brackets does not shift the fields', () => {
    const rest = 'S 1 1 1 0 -1 0 0 0 0 0 120 30 0 0 20 0';
    expect(parseProcessStat(`42 (a) S b (c) ${rest}`)).toBe(1500);
    expect(parseProcessStat('42 a')).toBeNull();
    expect(parseProcessStat('42 (a) S 1')).toBeNull();
  });

  test('resident memory in bytes', () => {
    expect(parseResident('Name:\tx\nVmRSS:\t    1234 kB\n')).toBe(1234 * 1024);
    expect(parseResident('Name:\tx\n')).toBeNull();
  });
});
