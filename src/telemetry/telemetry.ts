// All that is read beside the traffic, as one reading: the device, the host, the engine, and how each source is doing.
import { accessSync, constants } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { AgentConfig } from '../core/agent-config.ts';
import type { TelemetryReading } from '../core/snapshot.ts';
import { createBusy } from './accelerator/busy.ts';
import { chooseAccelerator } from './accelerator/choose.ts';
import { createDcgm, type DeviceFilter } from './accelerator/dcgm.ts';
import { createNvidiaSmi } from './accelerator/nvidia-smi.ts';
import type { AcceleratorSampler } from './accelerator/sampler.ts';
import { createEngine, toEnginePageUrls } from './engine/engine.ts';
import { createHost, type NodeLoad } from './host/host.ts';

/** What only the main file knows. */
export interface TelemetryDeps extends DeviceFilter {
  /** Busy share of the device by our own calls, 0..1; see `toBusyRatio`. */
  readonly busyRatio: () => number | null;
  /** The sampling interval in force, ms: 10 s, or 1 s in a burst. */
  readonly intervalMs: () => number;
  /** The PATH of the environment, to look the program up in. */
  readonly path?: string;
  readonly clock?: () => number;
  readonly readNode?: () => Promise<NodeLoad>;
}

export interface Telemetry {
  start(): void;
  /** Never waits and never throws: what was last read, with stale devices left out and the age of every source. */
  reading(nowMs: number): TelemetryReading;
  /** Resolves when no child and no request is left. */
  stop(): Promise<void>;
}

/** The pace of the nvidia-smi child, ms; readings are thinned from it to the interval in force. */
const CHILD_INTERVAL_MS = 1000;
const LEAST_STALE_MS = 30_000;

export function createTelemetry(
  config: Pick<AgentConfig, 'telemetry' | 'upstream' | 'engineMetrics'>,
  deps: TelemetryDeps,
): Telemetry {
  const { intervalMs, clock } = deps;
  const timing = { intervalMs, ...(clock === undefined ? {} : { clock }) };
  const accelerator = chooseAccelerator(toSamplers(config.telemetry, deps), {
    staleMs: () => Math.max(LEAST_STALE_MS, 3 * intervalMs()),
    ...(clock === undefined ? {} : { clock }),
  });
  const host = createHost({
    cgroupRoot: config.telemetry.cgroupRoot,
    ...timing,
    ...(deps.readNode === undefined ? {} : { readNode: deps.readNode }),
  });
  const engineUrls = toEnginePageUrls(config.upstream, config.engineMetrics);
  const engine = createEngine({ urls: engineUrls, ...timing });
  return {
    start() {
      accelerator.start();
      host.start();
      engine.start();
    },
    reading(nowMs) {
      const devices = accelerator.devices();
      return {
        devices,
        deviceSource: devices.length === 0 ? null : accelerator.source,
        host: host.reading(),
        engine: engine.reading(),
        health: [
          ...accelerator.healths(nowMs),
          host.health(nowMs),
          ...(engineUrls.length === 0 ? [] : [engine.health(nowMs)]),
        ],
      };
    },
    async stop() {
      await Promise.all([accelerator.stop(), host.stop(), engine.stop()]);
    },
  };
}

function toSamplers(config: AgentConfig['telemetry'], deps: TelemetryDeps): AcceleratorSampler[] {
  const clock = deps.clock === undefined ? {} : { clock: deps.clock };
  const nvidiaSmi = (): AcceleratorSampler =>
    createNvidiaSmi({
      path: toProgramPath(config.nvidiaSmi, deps.path ?? ''),
      intervalMs: CHILD_INTERVAL_MS,
      keepEveryMs: deps.intervalMs,
      ...clock,
    });
  const dcgm = (): AcceleratorSampler =>
    createDcgm({
      url: config.dcgmUrl,
      intervalMs: deps.intervalMs,
      ...clock,
      ...(deps.pod === undefined ? {} : { pod: deps.pod }),
      ...(deps.uuids === undefined ? {} : { uuids: deps.uuids }),
    });
  const busy = (): AcceleratorSampler => createBusy(deps.busyRatio);
  switch (config.accelerator) {
    case 'auto':
      return [nvidiaSmi(), dcgm(), busy()];
    case 'nvidia-smi':
      return [nvidiaSmi()];
    case 'dcgm':
      return [dcgm()];
    case 'busy':
      return [busy()];
    case 'off':
      return [];
  }
}

/** Where the driver's programs are mounted when PATH does not say: the toolkit, GKE, WSL. */
const USUAL_FOLDERS: readonly string[] = ['/usr/bin', '/usr/local/nvidia/bin', '/usr/local/bin', '/usr/lib/wsl/lib'];

/**
 * An absolute path. A name without a slash is the first executable of that name in `path` (colon-separated), then in
 * the usual folders; found nowhere, the first usual folder, so that the error names a file.
 */
export function toProgramPath(name: string, path: string): string {
  if (name.includes('/')) return isAbsolute(name) ? name : resolve(name);
  // A relative entry of PATH would make the program depend on where the agent was started.
  for (const folder of [...path.split(':').filter(isAbsolute), ...USUAL_FOLDERS]) {
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return join(USUAL_FOLDERS[0]!, name);
}
