// How the end-to-end tests harm an agent's processes, and how they look at what became of it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { AgentProcess } from './peers/agent-process.ts';
import { ask } from './peers/http-ask.ts';
import type { Ended } from './traffic.ts';

/** The mind is started with the first window that saw traffic: within a second. */
export const SOON = { policy: { ...DEFAULT_POLICY, sampling: { intervalS: 1, burstIntervalS: 1 } } };

/** Environment that loads a file of `hooks/` into every process of an agent. */
export function withHook(name: string): Record<string, string> {
  const url = pathToFileURL(join(import.meta.dirname, 'hooks', `${name}.ts`)).href;
  return { NODE_OPTIONS: `--import=${url}` };
}

export function kill(pid: number | null, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (pid === null) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** The first number that a pattern finds on the agent's metrics page; NaN when there is none. */
export async function readMetric(agent: AgentProcess, line: RegExp): Promise<number> {
  const page = (await ask(agent.metricsPort, { method: 'GET', path: '/metrics' })).body.toString();
  return Number(line.exec(page)?.[1] ?? Number.NaN);
}

/** The longest time without one answer of 200, ms. */
export function toGapMs(ended: readonly Ended[]): number {
  const times = ended
    .filter(({ status }) => status === 200)
    .map(({ dueMs, latencyMs }) => dueMs + latencyMs)
    .toSorted((a, b) => a - b);
  return Math.max(...times.slice(1).map((timeMs, i) => timeMs - times[i]!));
}
