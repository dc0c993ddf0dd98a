// The agent as its users run it: a supervisor with its children, on ports of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentConfig } from '../../../src/core/agent-config.ts';
import { findFreePorts } from '../servers/ports.ts';
import { toTestConfig } from './proxy-bench.ts';

export interface AgentProcess {
  readonly port: number;
  readonly controlPort: number;
  readonly metricsPort: number;
  readonly stateDir: string;
  readonly supervisor: ChildProcess;
  /** Log lines so far. */
  readonly logs: string[];
  /** Process id of a child; null when it is not there. */
  pidOf(name: 'data' | 'mind'): number | null;
  /** Waits until a line of the log matches. */
  logged(pattern: RegExp, timeoutMs?: number): Promise<void>;
  /** Exit code after SIGTERM, or of an end of its own. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A second where nothing else runs; two busy cores have needed more than ten. */
const START_MS = 30_000;
const root = join(import.meta.dirname, '../../..');

/** `env` reaches all three processes. */
export async function startAgent(
  upstream: string,
  change: Partial<AgentConfig> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<AgentProcess> {
  const [port = 0, controlPort = 0, metricsPort = 0] = await findFreePorts(3);
  const stateDir = mkdtempSync(join(tmpdir(), 'morphling-e2e-'));
  const at = (chosen: number): { host: string; port: number } => ({ host: '127.0.0.1', port: chosen });
  const config = toTestConfig(upstream, {
    listen: at(port),
    control: at(controlPort),
    metrics: at(metricsPort),
    stateDir,
    logLevel: 'info',
    ...change,
  });
  const supervisor = spawn(process.execPath, [join(root, 'sidecar/supervisor.ts')], {
    env: { ...process.env, ...env, MORPHLING_RESOLVED_CONFIG: JSON.stringify(config) },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  // Nothing of it may outlive a test run that was broken off.
  const killNow = (): void => void supervisor.kill('SIGKILL');
  process.once('exit', killNow);
  const logs: string[] = [];
  let rest = '';
  supervisor.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    logs.push(...lines);
  });
  let code: number | null | undefined;
  const ended = new Promise<number | null>((resolve) => {
    supervisor.on('exit', (exitCode) => {
      code = exitCode;
      process.removeListener('exit', killNow);
      resolve(exitCode);
    });
  });
  await untilTrue(
    async () => isOpen(port),
    START_MS,
    () => logs.join('\n'),
  );
  const agent: AgentProcess = {
    port,
    controlPort,
    metricsPort,
    stateDir,
    supervisor,
    logs,
    pidOf: (name) => findChild(supervisor.pid ?? 0, name === 'data' ? 'main.ts' : 'mind.ts'),
    logged: (pattern, timeoutMs = 10_000) =>
      untilTrue(
        async () => logs.some((line) => pattern.test(line)),
        timeoutMs,
        () => `${pattern} in ${logs.join('\n')}`,
      ),
    async stop(signal = 'SIGTERM') {
      if (code === undefined) supervisor.kill(signal);
      const result = await ended;
      rmSync(stateDir, { recursive: true, force: true });
      return result;
    },
  };
  await agent.logged(/"message":"data ready"/, START_MS);
  return agent;
}

async function untilTrue(check: () => Promise<boolean>, timeoutMs: number, what: () => string): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** By /proc: the child of a process whose command line ends in a file name. */
function findChild(parent: number, file: string): number | null {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const ppid = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, 'utf8'))?.[1];
      if (Number(ppid) !== parent) continue;
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replace(/\0$/, '');
      if (command.endsWith(file)) return Number(entry);
    } catch {
      // It ended while we looked.
    }
  }
  return null;
}
