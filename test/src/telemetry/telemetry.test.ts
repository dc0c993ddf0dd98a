import { dirname } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { AgentConfig } from '../../../src/core/agent-config.ts';
import {
  createTelemetry,
  toProgramPath,
  type Telemetry,
  type TelemetryDeps,
} from '../../../src/telemetry/telemetry.ts';
import { until } from '../../contract/accelerator.ts';
import { serveMetricsPage, type MetricsPage } from '../../support/metrics-page.ts';
import { ROW, writeFake, type FakeNvidiaSmi } from './accelerator/fake-nvidia-smi.ts';

const open: Telemetry[] = [];
const pages: MetricsPage[] = [];
const fakes: FakeNvidiaSmi[] = [];
afterEach(async () => {
  for (const telemetry of open.splice(0)) await telemetry.stop();
  for (const page of pages.splice(0)) await page.close();
  for (const fake of fakes.splice(0)) {
    await until(() => fake.alive().length === 0, 'no child after stop');
    fake.remove();
  }
});

async function serve(text: string): Promise<MetricsPage> {
  const page = await serveMetricsPage(text);
  pages.push(page);
  return page;
}

function started(
  telemetry: Partial<AgentConfig['telemetry']>,
  engineMetrics = 'off',
  deps: Partial<TelemetryDeps> = {},
): Telemetry {
  const created = createTelemetry(
    {
      upstream: 'http://127.0.0.1:1',
      engineMetrics,
      telemetry: {
        accelerator: 'auto',
        nvidiaSmi: '/nonexistent/nvidia-smi',
        dcgmUrl: 'http://127.0.0.1:1/metrics',
        cgroupRoot: '/nonexistent',
        ...telemetry,
      },
    },
    {
      busyRatio: () => 0.4,
      intervalMs: () => 20,
      readNode: async () => ({ cpuRatio: 0.5, memoryUsedBytes: 1, memoryTotalBytes: 2 }),
      ...deps,
    },
  );
  open.push(created);
  created.start();
  return created;
}

const read = (telemetry: Telemetry) => telemetry.reading(performance.now());

describe('createTelemetry', () => {
  test('device, host and engine in one reading, with the health of each', async () => {
    const fake = writeFake(`while :; do echo "${ROW}"; sleep 0.05; done`);
    fakes.push(fake);
    const engine = await serve('vllm:num_requests_waiting 4\n');
    const telemetry = started({ nvidiaSmi: fake.path }, engine.url);
    await until(() => {
      const { devices, host, engine } = read(telemetry);
      return devices.length > 0 && host !== null && engine !== null;
    }, 'all three');
    const reading = read(telemetry);
    expect(reading).toMatchObject({
      deviceSource: 'nvidia-smi',
      devices: [{ uuid: 'GPU-1', utilizationRatio: 0.4 }],
      host: { cpuRatio: 0.5, cpuSource: 'node' },
      engine: { engine: 'vllm', queueDepth: 4 },
    });
    expect(reading.health.map((health) => health.source)).toEqual(['nvidia-smi', 'host', 'engine']);
    expect(reading.health.every((health) => health.ageMs !== null && health.errors === 0)).toBe(true);
  });

  test('without nvidia-smi it is the exporter', async () => {
    const dcgm = await serve('DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-7"} 30\n');
    const telemetry = started({ dcgmUrl: dcgm.url });
    await until(() => read(telemetry).deviceSource === 'dcgm', 'dcgm');
    expect(read(telemetry).devices).toMatchObject([{ uuid: 'GPU-7', utilizationRatio: 0.3 }]);
  });

  test('with nothing at all it is our own busy time, and every failure is told with its source', async () => {
    const telemetry = started({});
    await until(() => read(telemetry).deviceSource === 'busy', 'busy');
    const { devices, health } = read(telemetry);
    expect(devices).toMatchObject([{ uuid: 'inferred', utilizationRatio: 0.4, memoryUsedBytes: null }]);
    expect(health.find((one) => one.source === 'nvidia-smi')!.lastError).toContain('no such file');
  });

  test('off means off: no device, no source', () => {
    const telemetry = started({ accelerator: 'off' });
    expect(read(telemetry)).toMatchObject({ devices: [], deviceSource: null });
  });

  test('a reading is plain JSON: it crosses processes unharmed', async () => {
    const telemetry = started({ accelerator: 'busy' });
    await until(() => read(telemetry).host !== null, 'a host');
    const reading = read(telemetry);
    expect(JSON.parse(JSON.stringify(reading))).toEqual(reading);
  });

  test('stop before start, and twice, resolves', async () => {
    const telemetry = started({ accelerator: 'busy' });
    await telemetry.stop();
    await telemetry.stop();
  });
});

describe('toProgramPath', () => {
  test('absolute paths stay, names are looked up, relative entries of PATH are not trusted', () => {
    const fake = writeFake('exit 0');
    fakes.push(fake);
    expect(toProgramPath('/opt/x/nvidia-smi', '')).toBe('/opt/x/nvidia-smi');
    expect(toProgramPath('nvidia-smi', `.:/nonexistent:${dirname(fake.path)}`)).toBe(fake.path);
    expect(toProgramPath('no-such-program', '.')).toBe('/usr/bin/no-such-program');
    expect(toProgramPath('./x', '')).toMatch(/^\/.*\/x$/);
  });
});
