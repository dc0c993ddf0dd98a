// What others on the machine took while something was measured: a round they disturbed says nothing of us.
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;
/** Cores' worth of foreign work above which a round does not count. */
const QUIET_CORES = 0.3;

export interface Disturbance {
  /** Cores kept busy by processes that are not ours, mean over the time. */
  readonly foreignCores: number;
  readonly isQuiet: boolean;
  /** Processor time of our own processes but for this one, the client: servers and agents, ms. */
  readonly servingMs: number;
}

/** Runs something and tells how much else ran on the machine meanwhile. Ours are this process and all below it. */
export async function watchNeighbours<T>(work: () => Promise<T>): Promise<{ value: T } & Disturbance> {
  const before = read();
  const startMs = performance.now();
  const value = await work();
  const tookMs = performance.now() - startMs;
  const after = read();
  const foreignMs = after.busyMs - before.busyMs - (after.ownMs - before.ownMs);
  const foreignCores = Math.max(0, foreignMs / tookMs);
  const servingMs = after.ownMs - before.ownMs - (after.selfMs - before.selfMs);
  return { value, foreignCores, isQuiet: foreignCores < QUIET_CORES, servingMs };
}

/**
 * Rounds until `enough` of them were quiet, `most` at the most: the quiet ones, or all of them where too few were, and
 * which it is.
 */
export async function quietRounds<T>(
  enough: number,
  most: number,
  round: (index: number) => Promise<T>,
): Promise<{ readonly rounds: ({ value: T } & Disturbance)[]; readonly areQuiet: boolean; readonly words: string }> {
  const all: ({ value: T } & Disturbance)[] = [];
  const quiet = (): ({ value: T } & Disturbance)[] => all.filter(({ isQuiet }) => isQuiet);
  while (all.length < most && quiet().length < enough) all.push(await watchNeighbours(() => round(all.length)));
  const areQuiet = quiet().length >= enough;
  const rounds = areQuiet ? quiet() : all;
  const foreign = rounds.map(({ foreignCores }) => foreignCores.toFixed(1)).join(' ');
  const words = `${rounds.length} of ${all.length} rounds, ${areQuiet ? 'quiet' : 'none left out, the machine is busy'} (foreign cores ${foreign})`;
  return { rounds, areQuiet, words };
}

function read(): { busyMs: number; ownMs: number; selfMs: number } {
  const [, ...fields] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields;
  const processes = readProcesses();
  const own = new Set([process.pid]);
  // Parents before children is no order of /proc, so until nothing is added.
  for (let size = 0; size !== own.size;) {
    size = own.size;
    for (const [pid, { parent }] of processes) if (own.has(parent)) own.add(pid);
  }
  let ownTicks = 0;
  for (const pid of own) ownTicks += processes.get(pid)?.ticks ?? 0;
  return {
    busyMs: TICK_MS * (user + nice + system + irq + softirq),
    ownMs: TICK_MS * ownTicks,
    selfMs: TICK_MS * (processes.get(process.pid)?.ticks ?? 0),
  };
}

function readProcesses(): Map<number, { parent: number; ticks: number }> {
  const found = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // pid (name) state ppid … utime(14) stime(15) cutime cstime, where the name may hold anything: proc_pid_stat(5)
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      found.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}
