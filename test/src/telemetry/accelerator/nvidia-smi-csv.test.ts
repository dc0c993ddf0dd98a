import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parseCsvLine,
  parseDeviceList,
  QUERY_FIELDS,
  toExitSentence,
  toFault,
} from '../../../../src/telemetry/accelerator/nvidia-smi-csv.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/nvidia-smi');
const fixture = (name: string): string => readFileSync(join(FIXTURES, name), 'utf8').trimEnd();
const MIB = 1_048_576;
const row = (cells: Partial<Record<string, string>>): string =>
  QUERY_FIELDS.map((field) => cells[field] ?? { index: '0', uuid: 'GPU-1' }[field] ?? '1').join(', ');

describe('parseCsvLine', () => {
  test('a row of a loaded H100', () => {
    expect(parseCsvLine(fixture('h100.csv'))).toEqual({
      kind: 'row',
      isMig: false,
      device: {
        index: '0',
        uuid: 'GPU-11111111-aaaa-bbbb-cccc-000000000001',
        name: 'NVIDIA H100 80GB HBM3',
        utilizationRatio: 1,
        memoryUsedBytes: 19_818 * MIB,
        memoryTotalBytes: 81_559 * MIB,
        powerWatts: 631.95,
        temperatureCelsius: 59,
        parentUuid: null,
      },
    });
  });

  test('a GPU in MIG mode has no utilisation, and says that it is in MIG mode', () => {
    expect(parseCsvLine(fixture('h100-mig.csv'))).toMatchObject({
      kind: 'row',
      isMig: true,
      device: { utilizationRatio: null, memoryUsedBytes: 11_125 * MIB, powerWatts: 433.78 },
    });
  });

  test.each([
    '',
    'N/A',
    '[N/A]',
    '[Not Supported]',
    '[Insufficient Permissions]',
    '[Unknown Error]',
    '[Requested functionality has been deprecated]',
    '[Function Not Found]',
    '[GPU requires reset]',
    '-',
    'Unknown',
    '[whatever comes next year]',
    'twelve',
    '-5',
    '1e999',
    '9999999999999999999999',
  ])('an absent or impossible value %j is null and never 0', (value) => {
    const parsed = parseCsvLine(
      row({
        'utilization.gpu': value,
        'memory.used': value,
        'memory.total': value,
        'power.draw': value,
        'temperature.gpu': value,
      }),
    );
    expect(parsed).toMatchObject({
      kind: 'row',
      device: {
        utilizationRatio: null,
        memoryUsedBytes: null,
        memoryTotalBytes: null,
        powerWatts: null,
        temperatureCelsius: null,
      },
    });
  });

  test('a true zero stays 0', () => {
    expect(parseCsvLine(row({ 'utilization.gpu': '0', 'memory.used': '0' }))).toMatchObject({
      device: { utilizationRatio: 0, memoryUsedBytes: 0 },
    });
  });

  test('units on the values are understood: the same reading with and without nounits', () => {
    const withUnits = row({
      'utilization.gpu': '37 %',
      'memory.used': '512 MiB',
      'memory.total': '2 GiB',
      'power.draw': '71.15 W',
    });
    const without = row({
      'utilization.gpu': '37',
      'memory.used': '512',
      'memory.total': '2048',
      'power.draw': '71.15',
    });
    expect(parseCsvLine(withUnits)).toEqual(parseCsvLine(without));
  });

  test('a header row, with or without units, and an empty line are noise', () => {
    expect(parseCsvLine(QUERY_FIELDS.join(', '))).toEqual({ kind: 'noise' });
    const header = QUERY_FIELDS.map((field) => (field.startsWith('memory') ? `${field} [MiB]` : field)).join(', ');
    expect(parseCsvLine(header)).toEqual({ kind: 'noise' });
    expect(parseCsvLine('  \r')).toEqual({ kind: 'noise' });
    expect(parseCsvLine('NVML library version: 580.173')).toEqual({ kind: 'noise' });
  });

  test('more fields than we ask for: a timestamp column is skipped', () => {
    const parsed = parseCsvLine('2026/07/14 09:00:27.792, 3, GPU-x, 50 %', [
      'timestamp',
      'index',
      'uuid',
      'utilization.gpu',
    ]);
    expect(parsed).toMatchObject({ kind: 'row', device: { index: '3', utilizationRatio: 0.5, name: null } });
  });

  test.each([
    ['half a row', '0, GPU-1, NVIDIA'],
    ['two rows run together', `${row({})}${row({})}`],
    ['no UUID', row({ uuid: '[N/A]' })],
    ['a name that would break a label', row({ uuid: 'GPU-"} 1\\n' })],
    ['binary', '\u0000\u0001\u0002'],
  ])('%s is garbage as a whole', (_, line) => {
    expect(parseCsvLine(line)).toEqual({ kind: 'garbage' });
  });

  test('never throws and never makes up a number, whatever the line', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.string(), { minLength: 9, maxLength: 9 }).map((c) => c.join(',')),
        ),
        (line) => {
          const parsed = parseCsvLine(line);
          if (parsed.kind !== 'row') return;
          for (const value of [parsed.device.utilizationRatio, parsed.device.memoryUsedBytes])
            if (value !== null) expect(line).toMatch(/\d/);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('toFault', () => {
  test.each([
    ['Failed to initialize NVML: Driver/library version mismatch', 'restart the pod', false],
    ['Failed to initialize NVML: Unknown Error', 'restart the pod', false],
    ["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 'load the NVIDIA driver', false],
    ['No devices were found', 'NVIDIA_VISIBLE_DEVICES', false],
    ['Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error', 'XID', true],
    ['GPU1: 0000:34:00.0: Unknown Error', 'XID', true],
    ['GPU is lost.  Reboot the system to recover this GPU', 'drain', false],
    ['nvidia-smi: error while loading shared libraries: libnvidia-ml.so.1: cannot open', 'driver libraries', false],
  ])('%s has a remedy', (text, remedy, isPartial) => {
    const fault = toFault(text);
    expect(fault?.remedy).toContain(remedy);
    expect(fault?.isPartial).toBe(isPartial);
    expect(parseCsvLine(text)).toEqual({ kind: 'error', fault });
  });

  test('a field the driver does not know is named', () => {
    expect(toFault('Field "mig.mode.current" is not a valid field to query.')?.unknownField).toBe('mig.mode.current');
  });

  test('other text is no fault', () => {
    expect(toFault('hello')).toBeNull();
  });
});

describe('parseDeviceList', () => {
  test('GPUs with their MIG slices, each with its parent', () => {
    expect(parseDeviceList(fixture('h100-mig-list.txt'))).toEqual([
      { index: '0', name: 'NVIDIA H100 80GB HBM3', uuid: 'GPU-22222222-aaaa-bbbb-cccc-000000000002', parentUuid: null },
      {
        index: '0:0',
        name: 'NVIDIA H100 80GB HBM3 MIG 3g.40gb',
        uuid: 'MIG-33333333-aaaa-bbbb-cccc-000000000003',
        parentUuid: 'GPU-22222222-aaaa-bbbb-cccc-000000000002',
      },
      {
        index: '0:1',
        name: 'NVIDIA H100 80GB HBM3 MIG 1g.10gb',
        uuid: 'MIG-33333333-aaaa-bbbb-cccc-000000000004',
        parentUuid: 'GPU-22222222-aaaa-bbbb-cccc-000000000002',
      },
      { index: '1', name: 'NVIDIA L40S', uuid: 'GPU-44444444-aaaa-bbbb-cccc-000000000005', parentUuid: null },
    ]);
  });

  test('the identifiers of drivers before 470', () => {
    const text = 'GPU 0: A100 (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-GPU-1/7/0)';
    expect(parseDeviceList(text)[1]).toMatchObject({ uuid: 'MIG-GPU-1/7/0', parentUuid: 'GPU-1' });
  });

  test('anything else is skipped', () => {
    expect(parseDeviceList('No devices were found\n  MIG 1g.5gb Device 0: (UUID: MIG-1)\nGPU x: y')).toEqual([]);
  });
});

describe('toExitSentence', () => {
  test('known codes are explained, unknown ones named', () => {
    expect(toExitSentence(18)).toContain('versions do not match');
    expect(toExitSentence(77)).toBe('exit code 77');
  });
});
