// The other end of soak-probe.ts: starts an agent that can be looked into, and asks it for a sample.
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProbeSample } from './soak-probe.ts';

export interface Looks {
  /** Environment of the agent to look into. */
  readonly env: Readonly<Record<string, string>>;
  /** One sample of a process, after a garbage collection in it. */
  look(pid: number): Promise<ProbeSample>;
}

const TIMEOUT_MS = 5_000;

export function createLooks(): Looks {
  const file = join(mkdtempSync(join(tmpdir(), 'morphling-probe-')), 'sample');
  const read = (pid: number): string[] =>
    existsSync(`${file}.${pid}`) ? readFileSync(`${file}.${pid}`, 'utf8').trim().split('\n') : [];
  return {
    env: {
      MORPHLING_TEST_PROBE: file,
      NODE_OPTIONS: `--import=${join(import.meta.dirname, 'soak-probe.ts')}`,
    },
    async look(pid) {
      const before = read(pid).length;
      process.kill(pid, 'SIGUSR2');
      for (const endMs = performance.now() + TIMEOUT_MS; performance.now() < endMs; await sleep(20)) {
        const lines = read(pid);
        if (lines.length > before) return JSON.parse(lines.at(-1)!) as ProbeSample;
      }
      throw new Error(`no sample of process ${pid} within ${TIMEOUT_MS} ms`);
    },
  };
}
