// Stand-ins for nvidia-smi, written by the tests: each notes its process id, so that the living can be counted.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROW = '0, GPU-1, NVIDIA H100 80GB HBM3, 40, 1024, 81559, 300.5, 50, Disabled';

export interface FakeNvidiaSmi {
  readonly path: string;
  /** A file the script can look for, to behave otherwise later. */
  readonly flag: string;
  /** Processes of this program, or noted by it, that are alive now. */
  alive(): number[];
  starts(): number;
  remove(): void;
}

/**
 * A shell script. `list` answers `-L`, `loop` everything else; `$FLAG` is the flag's path, `$PIDS` where to note more
 * process ids.
 */
export function writeFake(loop: string, list = 'echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)"'): FakeNvidiaSmi {
  const folder = mkdtempSync(join(tmpdir(), 'morphling-smi-'));
  const path = join(folder, 'nvidia-smi');
  const pids = join(folder, 'pids');
  const flag = join(folder, 'flag');
  writeFileSync(
    path,
    `#!/bin/sh\nPIDS='${pids}'\nFLAG='${flag}'\necho $$ >> "$PIDS"\nif [ "$1" = -L ]; then\n${list}\nexit 0\nfi\necho loop >> "$PIDS.loops"\n${loop}\n`,
  );
  chmodSync(path, 0o755);
  const noted = (): number[] => (existsSync(pids) ? readFileSync(pids, 'utf8').trim().split('\n').map(Number) : []);
  return {
    path,
    flag,
    alive: () => noted().filter(isRunning),
    starts: () => (existsSync(`${pids}.loops`) ? readFileSync(`${pids}.loops`, 'utf8').trim().split('\n').length : 0),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A zombie, dead but not yet reaped, does not count. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
