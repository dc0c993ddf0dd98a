// CPU time and memory of a process, from /proc. Pure parsers and one reader.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ProcessSample {
  /** User and system time since it started, ms. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** The kernel's clock tick is 10 ms on every Linux that Node runs on (USER_HZ = 100). */
const TICK_MS = 10;

/** `pid` may be `self`; null when it is gone or there is no /proc. */
export function readProcess(procRoot: string, pid: number | 'self'): ProcessSample | null {
  try {
    const cpuMs = parseProcessStat(readFileSync(join(procRoot, String(pid), 'stat'), 'utf8'));
    const residentBytes = parseResident(readFileSync(join(procRoot, String(pid), 'status'), 'utf8'));
    return cpuMs === null || residentBytes === null ? null : { cpuMs, residentBytes };
  } catch {
    return null;
  }
}

/** utime + stime, fields 14 and 15 (proc(5)). The name, field 2, may hold spaces and brackets: count from its last one. */
export function parseProcessStat(text: string): number | null {
  const close = text.lastIndexOf(')');
  if (close < 0) return null;
  const fields = text.slice(close + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? ticks * TICK_MS : null;
}

/** `VmRSS:     1234 kB` of /proc/PID/status, bytes. */
export function parseResident(text: string): number | null {
  const match = /^VmRSS:\s+(\d{1,15}) kB$/m.exec(text);
  return match === null ? null : Number(match[1]) * 1024;
}
