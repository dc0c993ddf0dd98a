// A process before or behind the one that is measured, and the measured one itself: started, waited for, ended.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../debian.ts';
import { guardGroup } from '../servers/guard.ts';

/** How to start a server. */
export interface PeerCommand {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It is up when it accepts here. */
  readonly port: number;
}

export interface Peer extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** Leads a process group of its own. */
  readonly pid: number;
  /** Requests it says it has served, where it can: a load that took another way is then seen. */
  readonly countRequests?: () => Promise<number>;
  /** The end of what it wrote to stdout and stderr. */
  output(): string;
  /** SIGTERM, then SIGKILL to its group. */
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 3_000;
const OUTPUT_CHARACTERS = 32 * 1024;

/**
 * Starts a server, on one processor only when `cpu` is given and `taskset` is there, and waits until it accepts.
 * It ends with this process, however that ends. Throws with the server's own words.
 */
export async function startPeer(command: PeerCommand, cpu?: number): Promise<Peer> {
  const taskset = cpu === undefined ? null : findProgram('taskset');
  const isPinned = taskset?.kind === 'ready';
  const file = isPinned ? taskset.path : command.file;
  const args = isPinned ? ['--cpu-list', String(cpu), command.file, ...command.args] : command.args;
  const child = spawn(file, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARACTERS);
    });
  }
  const pid = child.pid;
  let isGone = false;
  const gone = new Promise<void>((resolve) => {
    const end = (): void => {
      isGone = true;
      resolve();
    };
    child.once('error', (error) => {
      output += error.message;
      end();
    });
    child.once('exit', end);
  });
  if (pid === undefined) {
    await gone;
    throw new Error(`${command.name} cannot be started: ${output}`);
  }
  const guard = guardGroup(pid);
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name);
    } catch (error) {
      // ESRCH: nobody is left in the group, which is as good
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  const stop = async (): Promise<void> => {
    if (!isGone) signal('SIGTERM');
    const late = setTimeout(() => signal('SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(late);
    // A child may outlive the leader.
    signal('SIGKILL');
    guard[Symbol.dispose]();
  };
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await accepts(command.port))) {
    if (isGone || performance.now() > untilMs) {
      await stop();
      throw new Error(`${command.name} does not listen on ${command.port}: ${output}`);
    }
    await sleep(20);
  }
  return { name: command.name, port: command.port, pid, output: () => output, stop, [Symbol.asyncDispose]: stop };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
