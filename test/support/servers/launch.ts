// What the three servers have in common: ports, a process group, waiting until it is ready, and its end.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from './environment.ts';
import { guardGroup } from './guard.ts';
import { findFreePorts } from './ports.ts';
import { MODEL_NAMES } from './server.ts';
import type { ModelName, ModelServer, ServerName, StartOptions } from './server.ts';

/** What a server is told at its start. */
export interface Launch {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly metricsPort: number;
  readonly models: readonly ModelName[];
  /** An empty folder, its working directory; it goes with the server. */
  readonly folder: string;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How to start a server. */
export interface Recipe {
  readonly name: ServerName;
  readonly environment: Environment;
  /** Whether /metrics is on the HTTP port or on one of its own. */
  readonly metricsOn: 'http' | 'own';
  /** Gives the command; may write into the folder first. */
  prepare(launch: Launch): Command | Promise<Command>;
  /** Clears what the server leaves behind where it is killed. */
  clear?(launch: Launch): Promise<void>;
}

/** The folder of the models and of the programs that serve them. */
export const MODELS_FOLDER = join(import.meta.dirname, '..', '..', 'fixtures', 'models');

const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 50;
const STOP_TIMEOUT_MS = 10_000;
const OUTPUT_CHARACTERS = 64 * 1024;
const START_ATTEMPTS = 3;
const PORT_TAKEN = /address already in use|address in use|failed to bind|failed to start.*(http|grpc|metrics)/i;

/** Starts a server and waits until it and all its models are ready. Throws with the server's own words if they are not. */
export async function launchServer(recipe: Recipe, options: StartOptions = {}): Promise<ModelServer> {
  for (let attempt = 1; ; attempt += 1) {
    const [free = 0, grpcPort = 0, metricsPort = 0] = await findFreePorts(3);
    const folder = await mkdtemp(join(tmpdir(), `morphling-${recipe.name}-`));
    const models = options.models ?? MODEL_NAMES;
    const launch: Launch = { httpPort: options.port ?? free, grpcPort, metricsPort, models, folder };
    const server = new LaunchedServer(recipe, launch, await prepare(recipe, launch));
    try {
      await server.ready(options.readyTimeoutMs ?? READY_TIMEOUT_MS);
      return server;
    } catch (error) {
      await server.kill9();
      // Somebody may have taken a port between our look at it and the server's.
      const again = PORT_TAKEN.test(server.output()) && options.port === undefined && attempt < START_ATTEMPTS;
      if (!again) throw new Error(`${(error as Error).message}\n${server.output()}`, { cause: error });
    }
  }
}

async function prepare(recipe: Recipe, launch: Launch): Promise<Command> {
  try {
    return await recipe.prepare(launch);
  } catch (error) {
    await rm(launch.folder, { recursive: true, force: true });
    throw new Error(`${recipe.name} cannot be started: ${(error as Error).message}`, { cause: error });
  }
}

class LaunchedServer implements ModelServer {
  readonly name: ServerName;
  readonly url: string;
  readonly grpcUrl: string;
  readonly metricsUrl: string;
  readonly pid: number;
  readonly #recipe: Recipe;
  readonly #launch: Launch;
  readonly #child: ChildProcess;
  /** Settles when the process is gone, its group with it, and nothing of it is left. */
  readonly #gone: Promise<void>;
  #output = '';

  constructor(recipe: Recipe, launch: Launch, command: Command) {
    this.name = recipe.name;
    this.url = `http://127.0.0.1:${launch.httpPort}`;
    this.grpcUrl = `127.0.0.1:${launch.grpcPort}`;
    this.metricsUrl =
      recipe.metricsOn === 'http' ? `${this.url}/metrics` : `http://127.0.0.1:${launch.metricsPort}/metrics`;
    this.#recipe = recipe;
    this.#launch = launch;
    this.#child = spawn(command.file, command.args, {
      cwd: launch.folder,
      env: { ...baseEnvironment(recipe.environment, launch.folder), ...command.env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARACTERS);
      });
    }
    this.pid = this.#child.pid ?? 0;
    this.#gone = this.#watch();
  }

  async #watch(): Promise<void> {
    using _guard = this.pid === 0 ? undefined : guardGroup(this.pid, this.#launch.folder);
    await new Promise<void>((resolve) => {
      this.#child.once('error', (error) => {
        this.#output += `${error.message}\n`;
        resolve();
      });
      this.#child.once('exit', () => resolve());
    });
    // Triton's models are processes of their own, and one may outlive it.
    this.#signalGroup('SIGKILL');
    await this.#recipe.clear?.(this.#launch);
    await rm(this.#launch.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async ready(timeoutMs: number): Promise<void> {
    const waiting = [
      `${this.url}/v2/health/ready`,
      ...this.#launch.models.map((m) => `${this.url}/v2/models/${m}/ready`),
    ];
    const deadline = performance.now() + timeoutMs;
    for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) {
      while (!(await answersOk(url))) {
        if (this.#ended()) throw new Error(`${this.name} ended before it was ready`);
        if (performance.now() > deadline) throw new Error(`${this.name} was not ready in ${timeoutMs} ms: ${url}`);
        await sleep(READY_POLL_MS);
      }
    }
    // A port that another server answers on, while ours could not bind it and went.
    if (this.#ended()) throw new Error(`${this.name} ended before it was ready`);
  }

  output(): string {
    return this.#output;
  }

  async stop(): Promise<void> {
    if (!this.#ended()) {
      this.resume();
      this.#child.kill('SIGTERM');
    }
    const late = setTimeout(() => this.#signalGroup('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#gone;
    clearTimeout(late);
  }

  async kill9(): Promise<void> {
    if (!this.#ended()) this.#signalGroup('SIGKILL');
    await this.#gone;
  }

  suspend(): void {
    this.#signalGroup('SIGSTOP');
  }

  resume(): void {
    this.#signalGroup('SIGCONT');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #ended(): boolean {
    return this.pid === 0 || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      // ESRCH: nobody is left in the group, which is as good
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** A small environment of its own: no proxy, no PYTHON* of ours; numpy on one thread, or it takes the agent's core. */
function baseEnvironment(environment: Environment, folder: string): Record<string, string> {
  return {
    PATH: `${join(environment.folder, 'bin')}:/usr/local/bin:/usr/bin:/bin`,
    HOME: folder,
    LANG: 'C.UTF-8',
    PYTHONUNBUFFERED: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    OPENBLAS_NUM_THREADS: '1',
    OMP_NUM_THREADS: '1',
  };
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
