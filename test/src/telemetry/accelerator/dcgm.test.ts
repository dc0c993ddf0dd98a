import { describe, expect, test } from 'vitest';
import { createDcgm, parseDcgmPage } from '../../../../src/telemetry/accelerator/dcgm.ts';
import { acceleratorContract } from '../../../contract/accelerator.ts';
import { serveMetricsPage } from '../../../support/metrics-page.ts';

const MIB = 1_048_576;
const labels = (gpu: string, more = ''): string =>
  `{gpu="${gpu}",UUID="GPU-${gpu}",device="nvidia${gpu}",modelName="NVIDIA L40S",Hostname="n1"${more}}`;
const PAGE = `# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL${labels('0')} 37
DCGM_FI_DEV_MEM_COPY_UTIL${labels('0')} 99
DCGM_FI_DEV_FB_USED${labels('0')} 1000
DCGM_FI_DEV_FB_FREE${labels('0')} 2000
DCGM_FI_DEV_FB_RESERVED${labels('0')} 24
DCGM_FI_DEV_POWER_USAGE${labels('0')} 110.5
DCGM_FI_DEV_GPU_TEMP${labels('0')} 54
DCGM_FI_DEV_GPU_UTIL${labels('1', ',pod="model-1",namespace="shop",container="m"')} 80
`;

acceleratorContract({
  source: 'dcgm',
  working: async () => {
    const page = await serveMetricsPage(PAGE);
    return { sampler: createDcgm({ url: page.url }), done: () => page.close() };
  },
  dead: async () => {
    const page = await serveMetricsPage(PAGE);
    await page.close();
    return { sampler: createDcgm({ url: page.url }), done: async () => undefined };
  },
});

describe('parseDcgmPage', () => {
  test('a device with every figure; memory is the framebuffer, never the copy engine', () => {
    expect(parseDcgmPage(PAGE)[0]).toEqual({
      index: '0',
      uuid: 'GPU-0',
      name: 'NVIDIA L40S',
      utilizationRatio: 0.37,
      memoryUsedBytes: 1000 * MIB,
      memoryTotalBytes: 3024 * MIB,
      powerWatts: 110.5,
      temperatureCelsius: 54,
      parentUuid: null,
    });
  });

  test('what the page does not say is null', () => {
    expect(parseDcgmPage(PAGE)[1]).toMatchObject({ uuid: 'GPU-1', memoryUsedBytes: null, powerWatts: null });
  });

  test("DCGM's blank values, and impossible ones, are null", () => {
    const page = `DCGM_FI_DEV_GPU_UTIL${labels('0')} 9223372036854775794\nDCGM_FI_DEV_FB_USED${labels('0')} NaN\n`;
    expect(parseDcgmPage(page)[0]).toMatchObject({ utilizationRatio: null, memoryUsedBytes: null });
  });

  test('a MIG instance: its own entry, utilisation from the engine-active ratio, the GPU as parent', () => {
    const mig = labels('0', ',GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"');
    const page = `DCGM_FI_PROF_GR_ENGINE_ACTIVE${mig} 0.25\nDCGM_FI_DEV_FB_USED${mig} 10\n`;
    expect(parseDcgmPage(page)).toMatchObject([
      { index: '0:7', uuid: 'GPU-0/7', parentUuid: 'GPU-0', utilizationRatio: 0.25, memoryTotalBytes: null },
    ]);
  });

  test("only this pod's devices where the exporter labels them, else those that are visible, else all", () => {
    const pod = { name: 'model-1', namespace: 'shop' };
    expect(parseDcgmPage(PAGE, { pod }).map((device) => device.uuid)).toEqual(['GPU-1']);
    expect(parseDcgmPage(PAGE, { pod: { ...pod, namespace: 'other' } })).toHaveLength(2);
    expect(parseDcgmPage(PAGE, { uuids: ['GPU-0'] }).map((device) => device.uuid)).toEqual(['GPU-0']);
  });

  test('a page of something else has no devices', () => {
    expect(parseDcgmPage('up 1\n')).toEqual([]);
  });
});
