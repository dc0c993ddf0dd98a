// CPU and memory of a control group, version 2 or 1, from the files under its root.
import { readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { HostReading } from '../../core/snapshot.ts';

/** Counters and gauges as the kernel shows them at one instant. Null = the file is not there or says nothing. */
export interface CgroupSample {
  /** CPU time used since the group was made, ms. */
  readonly cpuMs: number | null;
  /** CPUs the group may use at once, its quota; null = no quota. */
  readonly cpuLimit: number | null;
  /** Enforcement periods since the group was made, and how many of them were throttled. */
  readonly periods: number | null;
  readonly throttledPeriods: number | null;
  readonly memoryUsedBytes: number | null;
  /** Null = no limit. */
  readonly memoryLimitBytes: number | null;
  /** Whose: the group of this container, of the whole pod (its folder is mounted), or the root group, so the node. */
  readonly source: 'container' | 'pod' | 'node';
}

export interface CgroupOptions {
  /** `/sys/fs/cgroup`; in tests a folder of fixtures. */
  readonly root: string;
  /** A limit above this is the kernel's way to say "none". */
  readonly totalMemoryBytes: number;
}

/** Null where no group's files are found under the root: not Linux, or the root of a v2 host, which has none. */
export function readCgroup({ root, totalMemoryBytes }: CgroupOptions): CgroupSample | null {
  const toLimit = (bytes: number | null): number | null => (bytes === null || bytes > totalMemoryBytes ? null : bytes);
  // systemd's and containerd's pod folders: kubepods-burstable-pod<uid>.slice, pod<uid>.
  const isPod = /(^|[/-])pod[0-9a-f]{8}[-_0-9a-f]{28}(\.slice)?\/?$/.test(root);

  const current = readText(join(root, 'memory.current'));
  const stat = readText(join(root, 'cpu.stat'));
  if (current !== null || (stat !== null && stat.includes('usage_usec'))) {
    // The v2 root group has cpu.stat but no memory.current: its figures are the node's.
    if (current === null) return null;
    const fields = parseFields(stat ?? '');
    const usageUs = fields.get('usage_usec');
    return {
      cpuMs: usageUs === undefined ? null : usageUs / 1000,
      cpuLimit: parseCpuMax(readText(join(root, 'cpu.max'))),
      periods: fields.get('nr_periods') ?? null,
      throttledPeriods: fields.get('nr_throttled') ?? null,
      memoryUsedBytes: toCount(current),
      memoryLimitBytes: toLimit(toCount(readText(join(root, 'memory.max')))),
      source: isPod ? 'pod' : 'container',
    };
  }

  // v1: a folder a controller; cpu and cpuacct may be mounted as one.
  const read = (folders: readonly string[], file: string): string | null => {
    for (const folder of folders) {
      const text = readText(join(root, folder, file));
      if (text !== null) return text;
    }
    return null;
  };
  const cpu = ['cpu', 'cpu,cpuacct'];
  const usageNs = toCount(read(['cpuacct', 'cpu,cpuacct', 'cpuacct,cpu'], 'cpuacct.usage'));
  const used = toCount(read(['memory'], 'memory.usage_in_bytes'));
  if (usageNs === null && used === null) return null;
  const fields = parseFields(read(cpu, 'cpu.stat') ?? '');
  const quotaUs = toCount(read(cpu, 'cpu.cfs_quota_us'));
  const periodUs = toCount(read(cpu, 'cpu.cfs_period_us'));
  return {
    cpuMs: usageNs === null ? null : usageNs / 1e6,
    cpuLimit: quotaUs === null || periodUs === null || quotaUs <= 0 || periodUs <= 0 ? null : quotaUs / periodUs,
    periods: fields.get('nr_periods') ?? null,
    throttledPeriods: fields.get('nr_throttled') ?? null,
    memoryUsedBytes: used,
    memoryLimitBytes: toLimit(toCount(read(['memory'], 'memory.limit_in_bytes'))),
    // Only the root group of a v1 hierarchy has a release agent.
    source: existsSync(join(root, 'memory', 'release_agent')) ? 'node' : isPod ? 'pod' : 'container',
  };
}

/**
 * What happened between two samples, `passedMs` apart. cpuRatio is CPU time used over the CPU time allowed (quota, else
 * all `cpuCount` CPUs); throttledRatio is null while no period ended, as without a quota. A counter that fell, the group
 * having been made anew, gives null.
 */
export function toHostReading(
  now: CgroupSample,
  before: CgroupSample | null,
  passedMs: number,
  cpuCount: number,
): HostReading {
  const grown = (read: (sample: CgroupSample) => number | null): number | null => {
    const [a, b] = [before === null ? null : read(before), read(now)];
    return a === null || b === null || b < a ? null : b - a;
  };
  const cpuMs = grown((sample) => sample.cpuMs);
  const periods = grown((sample) => sample.periods);
  const throttled = grown((sample) => sample.throttledPeriods);
  return {
    cpuRatio: cpuMs === null || passedMs <= 0 ? null : Math.min(1, cpuMs / (passedMs * (now.cpuLimit ?? cpuCount))),
    cpuSource: now.source,
    throttledRatio: periods === null || throttled === null || periods === 0 ? null : Math.min(1, throttled / periods),
    memoryUsedBytes: now.memoryUsedBytes,
    memoryLimitBytes: now.memoryLimitBytes,
  };
}

/** Null when it cannot be read, whatever the reason. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function toCount(text: string | null): number | null {
  const trimmed = text?.trim() ?? '';
  return /^\d{1,20}$/.test(trimmed) ? Number(trimmed) : null;
}

/** `usage_usec 123` a line. */
function parseFields(text: string): ReadonlyMap<string, number> {
  const fields = new Map<string, number>();
  for (const match of text.matchAll(/^(\w+) (\d{1,20})$/gm)) fields.set(match[1]!, Number(match[2]));
  return fields;
}

/** `200000 100000` is two CPUs, `max 100000` no quota. */
function parseCpuMax(text: string | null): number | null {
  const match = /^(\d{1,15}) (\d{1,15})\s*$/.exec(text ?? '');
  return match === null || Number(match[2]) === 0 ? null : Number(match[1]) / Number(match[2]);
}
