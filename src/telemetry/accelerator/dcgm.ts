// Device readings from the node's dcgm-exporter page.
import type { DeviceReading } from '../../core/snapshot.ts';
import { MorphlingError } from '../../core/errors.ts';
import { createPageFetcher } from '../engine/page.ts';
import { parsePrometheusText, type MetricSample } from '../engine/prometheus-text.ts';
import { Poller } from '../poller.ts';
import type { AcceleratorSampler } from './sampler.ts';

/** Which of the node's devices are this pod's. */
export interface DeviceFilter {
  /** Name and namespace of the pod, matched against the exporter's labels where it sets them. */
  readonly pod?: { readonly name: string; readonly namespace: string };
  /** UUIDs that are visible to the model's container, if they are known. */
  readonly uuids?: readonly string[];
}

export interface DcgmOptions extends DeviceFilter {
  readonly url: string;
  readonly intervalMs?: () => number;
  readonly timeoutMs?: number;
  readonly clock?: () => number;
}

/** dcgm-exporter refreshes its figures every 30 s by default; asking more often costs little and sees faster set-ups. */
const INTERVAL_MS = 10_000;

export function createDcgm(options: DcgmOptions): AcceleratorSampler {
  const pages = createPageFetcher(options.timeoutMs);
  let devices: readonly DeviceReading[] = [];
  const poller = new Poller({
    source: 'dcgm',
    intervalMs: options.intervalMs ?? (() => INTERVAL_MS),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    async poll() {
      const found = parseDcgmPage(await pages.fetch(options.url), options);
      if (found.length === 0)
        throw new MorphlingError('BAD_RESPONSE', `${options.url}: expected DCGM_FI_… metrics of a device, got none`);
      devices = found;
    },
  });
  return {
    source: 'dcgm',
    start: () => poller.start(),
    devices: () => devices,
    health: (nowMs) => poller.health(nowMs),
    async stop() {
      const stopped = poller.stop();
      await pages.close();
      await stopped;
    },
  };
}

const MIB = 1_048_576;

/**
 * One reading a GPU, or a MIG instance, of the page. Utilisation is `DCGM_FI_DEV_GPU_UTIL` (percent), or where that is
 * missing, as under MIG, `DCGM_FI_PROF_GR_ENGINE_ACTIVE` (ratio). Memory is framebuffer MiB; `_MEM_COPY_UTIL` is bus
 * activity and never used for it. Devices labelled with this pod win over all others; if none is, all that are
 * visible count.
 */
export function parseDcgmPage(text: string, filter: DeviceFilter = {}): DeviceReading[] {
  const samples = parsePrometheusText(text, (name) => name.startsWith('DCGM_FI_'));
  const byDevice = Map.groupBy(samples, ({ labels }) => `${labels['UUID'] ?? ''}/${labels['GPU_I_ID'] ?? ''}`);
  const groups = [...byDevice.values()].filter((group) => (group[0]!.labels['UUID'] ?? '') !== '');
  const { pod, uuids } = filter;
  const ours = groups.filter((group) =>
    group.some(({ labels }) => labels['pod'] === pod?.name && labels['namespace'] === pod?.namespace),
  );
  if (pod !== undefined && ours.length > 0) return ours.map(toReading);
  const visible = uuids === undefined ? groups : groups.filter((group) => uuids.includes(group[0]!.labels['UUID']!));
  return visible.map(toReading);
}

function toReading(group: readonly MetricSample[]): DeviceReading {
  const { labels } = group[0]!;
  const read = (name: string): number | null => {
    const value = group.find((sample) => sample.name === name)?.value;
    // DCGM writes blank values as numbers of 2^47 and above.
    return value === undefined || !Number.isFinite(value) || value < 0 || value >= 2 ** 47 ? null : value;
  };
  const toBytes = (mib: number | null): number | null => (mib === null ? null : mib * MIB);
  const percent = read('DCGM_FI_DEV_GPU_UTIL');
  const active = read('DCGM_FI_PROF_GR_ENGINE_ACTIVE');
  const used = read('DCGM_FI_DEV_FB_USED');
  const free = read('DCGM_FI_DEV_FB_FREE');
  const instance = labels['GPU_I_ID'] ?? '';
  const gpuUuid = labels['UUID']!;
  const utilization = percent === null ? active : percent / 100;
  return {
    index: instance === '' ? (labels['gpu'] ?? '') : `${labels['gpu'] ?? ''}:${instance}`,
    uuid: instance === '' ? gpuUuid : `${gpuUuid}/${instance}`,
    name: labels['modelName'] ?? null,
    utilizationRatio: utilization === null || utilization > 1 ? null : utilization,
    memoryUsedBytes: toBytes(used),
    memoryTotalBytes:
      used === null || free === null ? null : toBytes(used + free + (read('DCGM_FI_DEV_FB_RESERVED') ?? 0)),
    powerWatts: read('DCGM_FI_DEV_POWER_USAGE'),
    temperatureCelsius: read('DCGM_FI_DEV_GPU_TEMP'),
    parentUuid: instance === '' ? null : gpuUuid,
  };
}
