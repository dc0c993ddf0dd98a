// The agent as it ships: compiled, started by its own command line, three processes.
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from '../servers/ports.ts';
import { startPeer, type Peer, type PeerCommand } from './peer.ts';
import { runToEnd } from './tools.ts';

const READY_TIMEOUT_MS = 20_000;
const root = join(import.meta.dirname, '../../..');

/** A compiled copy of the work tree. */
export interface Build extends AsyncDisposable {
  readonly folder: string;
  /** How to run its command line, ready when `port` accepts. */
  command(name: string, args: readonly string[], port: number, env?: Readonly<Record<string, string>>): PeerCommand;
}

/**
 * Compiles the sources into a folder of its own, as `npm run build` does into dist/: a dist/ in the work tree would be
 * what everyone's `morphling` runs from then on. Takes some seconds.
 */
export async function buildAgent(): Promise<Build> {
  const folder = await mkdtemp(join(tmpdir(), 'morphling-build-'));
  const tsc = join(root, 'node_modules/.bin/tsc');
  try {
    await runToEnd(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')]);
  } catch (error) {
    // A type error does not change what runs; a tree that does not compile has no entry.
    if (!existsSync(join(folder, 'dist/src/cli/main.js'))) throw error;
    process.stderr.write('the sources have type errors; what is benched may not be what ships\n');
  }
  await mkdir(join(folder, 'src/cli'), { recursive: true });
  await mkdir(join(folder, 'sidecar/lab'), { recursive: true });
  await cp(join(root, 'package.json'), join(folder, 'package.json'));
  await cp(join(root, 'src/cli/morphling.mjs'), join(folder, 'src/cli/morphling.mjs'));
  await symlink(join(root, 'sidecar/lab/data'), join(folder, 'sidecar/lab/data'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    command: (name, args, port, env = {}) => ({
      name,
      file: process.execPath,
      args: [...nodeOptions(), join(folder, 'src/cli/morphling.mjs'), ...args],
      env,
      port,
    }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

export interface AgentOptions {
  readonly upstreamPort: number;
  readonly decider?: 'linear' | 'aimd' | 'gradient' | 'fixed';
  /** What is known of single models, as the configuration has it. */
  readonly models?: object;
  /** Further configuration, by environment name. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cpu?: number;
  readonly name?: string;
}

/** A started agent: its process is the supervisor, data and mind are its children. */
export interface BuiltAgent extends Peer {
  readonly metricsPort: number;
  /** Requests that the data process has counted. A connection that the supervisor splices never shows up here. */
  readonly countRequests: () => Promise<number>;
}

/** Starts `morphling agent` on free ports and waits until its data process is ready. */
export async function startBuiltAgent(build: Build, options: AgentOptions): Promise<BuiltAgent> {
  const [port = 0, control = 0, metrics = 0] = await findFreePorts(3);
  const stateDir = await mkdtemp(join(tmpdir(), 'morphling-state-'));
  const args = [
    ['agent', '--upstream', `http://127.0.0.1:${options.upstreamPort}`, '--listen', `127.0.0.1:${port}`],
    ['--control', `127.0.0.1:${control}`, '--metrics', `127.0.0.1:${metrics}`, '--state-dir', stateDir],
    ['--log-level', 'warn', '--decider', options.decider ?? 'fixed'],
  ].flat();
  const models = options.models === undefined ? {} : { MORPHLING_MODELS: JSON.stringify(options.models) };
  // A bench ends its load first, so there is nothing to drain for.
  const drain = { MORPHLING_DRAIN_DELAY_MS: '0', MORPHLING_DRAIN_TIMEOUT_MS: '1000' };
  const env = { ...drain, ...models, ...options.env };
  const agent = await startPeer(build.command(options.name ?? 'agent', args, port, env), options.cpu);
  const stop = async (): Promise<void> => {
    await agent.stop();
    await rm(stateDir, { recursive: true, force: true });
  };
  try {
    await untilReady(`http://127.0.0.1:${metrics}/ready`);
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${agent.output()}`, { cause: error });
  }
  const countRequests = async (): Promise<number> => {
    const page = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    const counts = page.matchAll(/^morphling_requests_total\{[^}]*\} (\d+)/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  return { ...agent, metricsPort: metrics, countRequests, stop, [Symbol.asyncDispose]: stop };
}

/** The socket is there before the data process is: what connects too early is spliced, and stays so. */
async function untilReady(url: string): Promise<void> {
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    if (performance.now() > untilMs) throw new Error(`the agent is not ready after ${READY_TIMEOUT_MS} ms (${status})`);
    await sleep(50);
  }
}

/** Options for Node itself, such as `--cpu-prof --cpu-prof-dir=/tmp/p`: all three processes get them. */
function nodeOptions(): string[] {
  return (process.env['MORPHLING_BENCH_NODE_OPTIONS'] ?? '').split(' ').filter((word) => word !== '');
}
