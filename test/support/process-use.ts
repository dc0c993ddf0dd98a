// What a process takes of the machine, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** Proportional set size in bytes: shared pages count by the share; null when the process is gone. */
export function readPssBytes(pid: number): number | null {
  return readKilobytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m);
}

/** Resident set size in bytes; null when the process is gone. */
export function readRssBytes(pid: number): number | null {
  return readKilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m);
}

/** Open file descriptors; null when the process is gone. */
export function countFds(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
}

function readKilobytes(path: string, pattern: RegExp): number | null {
  try {
    const match = pattern.exec(readFileSync(path, 'utf8'));
    return match === null ? null : Number(match[1]) * 1024;
  } catch {
    return null;
  }
}
