// CPU and memory, and whose: the pod's or container's control group, else the node, else this process.
import { cpus, totalmem } from 'node:os';
import type { HostReading, SourceHealth } from '../../core/snapshot.ts';
import { MorphlingError } from '../../core/errors.ts';
import { Poller } from '../poller.ts';
import { readCgroup, toHostReading, type CgroupSample } from './cgroup.ts';
import { readProcess, type ProcessSample } from './proc.ts';

export interface HostOptions {
  readonly cgroupRoot: string;
  readonly procRoot?: string;
  readonly intervalMs: () => number;
  readonly clock?: () => number;
  /** Load of the whole machine; by default from systeminformation, which is loaded only when it is needed. */
  readonly readNode?: () => Promise<NodeLoad>;
}

export interface NodeLoad {
  readonly cpuRatio: number;
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
}

export interface HostSource {
  start(): void;
  /** The newest; null before the first. */
  reading(): HostReading | null;
  health(nowMs: number): SourceHealth;
  stop(): Promise<void>;
}

/**
 * `cpuSource` always says whose load it is, since a sidecar's own group never sees the model's: `container` is the
 * agent's, `pod` needs the pod's folder as root, `node` includes the neighbours.
 */
export function createHost(options: HostOptions): HostSource {
  const clock = options.clock ?? (() => performance.now());
  const procRoot = options.procRoot ?? '/proc';
  const readNode = options.readNode ?? readNodeLoad;
  const cpuCount = Math.max(1, cpus().length);
  let reading: HostReading | null = null;
  let before: { readonly sample: CgroupSample; readonly atMs: number } | null = null;
  let processBefore: { readonly sample: ProcessSample; readonly atMs: number } | null = null;

  const readOwnProcess = (): HostReading => {
    const sample = readProcess(procRoot, 'self');
    if (sample === null) throw new MorphlingError('UNSUPPORTED', 'no control group, no system figures and no /proc');
    const atMs = clock();
    const last = processBefore;
    processBefore = { sample, atMs };
    const isLater = last !== null && atMs > last.atMs && sample.cpuMs >= last.sample.cpuMs;
    return {
      cpuRatio: isLater ? Math.min(1, (sample.cpuMs - last.sample.cpuMs) / ((atMs - last.atMs) * cpuCount)) : null,
      cpuSource: 'process',
      throttledRatio: null,
      memoryUsedBytes: sample.residentBytes,
      memoryLimitBytes: null,
    };
  };

  const poller = new Poller({
    source: 'host',
    intervalMs: options.intervalMs,
    clock,
    async poll() {
      const sample = readCgroup({ root: options.cgroupRoot, totalMemoryBytes: totalmem() });
      if (sample !== null) {
        const atMs = clock();
        reading = toHostReading(sample, before?.sample ?? null, atMs - (before?.atMs ?? atMs), cpuCount);
        before = { sample, atMs };
        return;
      }
      before = null;
      try {
        const node = await readNode();
        reading = {
          cpuRatio: node.cpuRatio,
          cpuSource: 'node',
          throttledRatio: null,
          memoryUsedBytes: node.memoryUsedBytes,
          memoryLimitBytes: node.memoryTotalBytes,
        };
      } catch {
        // The process's own figures are the last resort; if they fail too, that is the error that counts.
        reading = readOwnProcess();
      }
    },
  });
  return {
    start: () => poller.start(),
    reading: () => reading,
    health: (nowMs) => poller.health(nowMs),
    stop: () => poller.stop(),
  };
}

/** systeminformation takes a quarter of a second to load; its load is since its own last call. */
async function readNodeLoad(): Promise<NodeLoad> {
  const { currentLoad, mem } = await import('systeminformation');
  const [load, memory] = await Promise.all([currentLoad(), mem()]);
  return {
    cpuRatio: Math.min(1, Math.max(0, load.currentLoad / 100)),
    memoryUsedBytes: memory.active,
    memoryTotalBytes: memory.total,
  };
}
