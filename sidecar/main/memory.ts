// How near the data process is to the end of its memory: of its own heap, and of the container that it shares.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import type { Logger } from '../../src/core/log.ts';
import { toPressure, type Pressure } from '../proxy/pressure.ts';

/** A quarter of a second, as Envoy's overload manager: bodies of a gigabit a second fill 30 MB meanwhile. */
const EVERY_MS = 250;

export interface MemoryWatch {
  /** The larger of both shares, 0..1 and a little above. */
  readonly ratio: number;
  stop(): void;
}

/** `cgroupRoot`: where cgroup v2 is mounted; without a limit there only the heap counts. Tells every change of the step. */
export function watchMemory(cgroupRoot: string, log: Logger, onPressure: (pressure: Pressure) => void): MemoryWatch {
  let pressure: Pressure = 'none';
  const state = { ratio: 0 };
  const look = (): void => {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    state.ratio = Math.max(used / limit, readContainerRatio(cgroupRoot) ?? 0);
    const next = toPressure(state.ratio, pressure);
    if (next === pressure) return;
    log.warn('memory pressure', { from: pressure, to: next, ratio: state.ratio });
    pressure = next;
    onPressure(pressure);
  };
  const timer = setInterval(look, EVERY_MS);
  timer.unref();
  return {
    get ratio() {
      return state.ratio;
    },
    stop: () => clearInterval(timer),
  };
}

/**
 * The container's working set as a share of its limit: usage without the file cache that the kernel can drop, which is
 * what an OOM kill and an eviction look at. Null: no limit, or none that can be read.
 */
export function readContainerRatio(cgroupRoot: string): number | null {
  try {
    const limitBytes = Number(readFileSync(join(cgroupRoot, 'memory.max'), 'utf8'));
    if (!(limitBytes > 0)) return null;
    const usedBytes = Number(readFileSync(join(cgroupRoot, 'memory.current'), 'utf8'));
    const stat = readFileSync(join(cgroupRoot, 'memory.stat'), 'utf8');
    const cacheBytes = Number(/^inactive_file (\d+)$/m.exec(stat)?.[1] ?? 0);
    return Number.isFinite(usedBytes) ? Math.max(0, usedBytes - cacheBytes) / limitBytes : null;
  } catch {
    // No cgroup v2 here, or the root of one, which has no such file.
    return null;
  }
}
