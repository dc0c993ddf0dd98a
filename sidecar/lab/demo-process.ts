// Child processes of the demo: started in groups of their own, and none left behind.
import { spawn, type ChildProcess } from 'node:child_process';
import { MorphlingError } from '../../src/core/errors.ts';

/** A program that was started here. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Last lines of its stderr, for when it fails. */
  lastWords(): string;
  /** Null while it runs. */
  exitCode(): number | null;
  /** Asks it to end, insists after `graceMs`, and resolves when its whole group is gone. */
  stop(graceMs?: number): Promise<void>;
}

export interface StartOptions {
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

const STOP_GRACE_MS = 3000;
const KEPT_CHARS = 4000;

/** Starts a program; its stdout lines go to `onLine`. */
export function startProgram(options: StartOptions, onLine: (line: string) => void = () => {}): Program {
  const [file = '', ...args] = options.command;
  // A group of its own: the terminal's Ctrl-C reaches only the demo, which then ends everything in order.
  const child = spawn(file, args, { env: options.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-KEPT_CHARS);
  });
  let startError: string | null = null;
  child.on('error', (error) => {
    startError = error.message;
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    name: options.name,
    pid: child.pid ?? -1,
    lastWords: () => startError ?? words.trim(),
    exitCode: () => (startError === null ? child.exitCode : 127),
    async stop(graceMs = STOP_GRACE_MS) {
      if (child.pid === undefined) return;
      signal(child, 'SIGTERM', child.pid);
      const timer = setTimeout(() => signal(child, 'SIGKILL', -(child.pid ?? 0)), graceMs);
      await ended;
      clearTimeout(timer);
      // Its children, should one have outlived it.
      signal(child, 'SIGKILL', -child.pid);
    },
  };
}

/** Polls `url` until it answers 200. Throws when the program ends or `timeoutMs` passes, with its last words. */
export async function untilReady(program: Program, url: string, timeoutMs: number, abort: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last = 'no answer';
  while (performance.now() < deadline) {
    abort.throwIfAborted();
    if (program.exitCode() !== null)
      throw new MorphlingError(
        'INTERNAL',
        `${program.name} ended with code ${program.exitCode()}: ${program.lastWords()}`,
      );
    try {
      const answer = await fetch(url, { signal: AbortSignal.any([abort, AbortSignal.timeout(2000)]) });
      await answer.arrayBuffer();
      if (answer.status === 200) return;
      last = `status ${answer.status}`;
    } catch (error) {
      abort.throwIfAborted();
      last = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new MorphlingError(
    'TIMED_OUT',
    `${program.name} was not ready at ${url} within ${timeoutMs / 1000} s (${last}): ${program.lastWords()}`,
  );
}

function signal(child: ChildProcess, name: NodeJS.Signals, pid: number): void {
  if (name === 'SIGTERM' && (child.exitCode !== null || child.signalCode !== null)) return;
  try {
    process.kill(pid, name);
  } catch {
    // Already gone: that is what was wanted.
  }
}
