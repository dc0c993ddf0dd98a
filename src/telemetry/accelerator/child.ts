// One child process whose output is read line by line and which is gone, with its descendants, when this says so.
import type { execa } from 'execa';
import { LineSplitter } from './line-splitter.ts';

/** How a child ended. */
export type ChildEnd =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'killed'; readonly why: string }
  | { readonly kind: 'not-started'; readonly reason: string };

export interface ChildOptions {
  /** Absolute path of the program; no shell and no PATH search between us and it. */
  readonly path: string;
  readonly args: readonly string[];
  readonly clock: () => number;
  /** No complete line for so long: killed. */
  readonly silenceMs: number;
  /** More output than this within `silenceMs`: killed, since it is no sampler any more. */
  readonly floodBytes: number;
  /** A complete line, or null for one that was too long. */
  readonly onLine: (line: string | null) => void;
}

export interface Child {
  readonly pid: number | undefined;
  kill(why: string): void;
  /** Resolves when the process has exited, not when its pipes close; never rejects. */
  readonly ended: Promise<ChildEnd>;
}

const LINE_CHARS = 4096;
/** From the exit of the program until its pipes are closed by force. */
const LAST_WORDS_MS = 200;
/** The whole environment: nothing of the agent's own leaks, messages are English, GKE's driver folder is found. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/nvidia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LD_LIBRARY_PATH: '/usr/local/nvidia/lib:/usr/local/nvidia/lib64',
  LC_ALL: 'C',
};

/**
 * Starts the program in a process group of its own. A descendant that keeps the pipe open after the program has
 * exited is killed with the group and its pipe is closed here, so it cannot hold anything up. A process in
 * uninterruptible sleep survives SIGKILL: then `ended` stays open, and so long no second child is started.
 */
export function startChild(run: typeof execa, options: ChildOptions): Child {
  const subprocess = run(options.path, [...options.args], {
    buffer: false,
    reject: false,
    stdin: 'ignore',
    env: ENVIRONMENT,
    extendEnv: false,
    killDescendants: true,
    killSignal: 'SIGKILL',
  });
  let why: string | null = null;
  let isOver = false;
  let lastLineMs = options.clock();
  let bytes = 0;

  const kill = (reason: string): void => {
    if (isOver) return;
    why ??= reason;
    subprocess.kill('SIGKILL');
  };
  const lines = new LineSplitter(LINE_CHARS, (line) => {
    lastLineMs = options.clock();
    options.onLine(line);
  });
  const read = (chunk: Uint8Array): void => {
    if (isOver || why !== null) return;
    bytes += chunk.length;
    lines.push(chunk);
    if (bytes > options.floodBytes) kill(`flood: more than ${options.floodBytes} bytes in ${options.silenceMs} ms`);
  };
  const streams = [subprocess.stdout, subprocess.stderr];
  for (const stream of streams) {
    stream?.on('data', read);
    // A pipe that breaks ends with the process; the exit tells why.
    stream?.on('error', () => undefined);
  }
  const watch = setInterval(() => {
    bytes = 0;
    if (options.clock() - lastLineMs >= options.silenceMs) kill(`hung: no line for ${options.silenceMs} ms`);
  }, options.silenceMs);
  watch.unref();

  const ended = new Promise<ChildEnd>((resolve) => {
    const finish = (end: ChildEnd): void => {
      if (isOver) return;
      clearInterval(watch);
      if (why === null) lines.end();
      isOver = true;
      // What the program left running goes with it, and its end of the pipe with that.
      if (subprocess.pid !== undefined) subprocess.kill('SIGKILL');
      for (const stream of streams) stream?.destroy();
      resolve(why === null ? end : { kind: 'killed', why });
    };
    subprocess.nodeChildProcess?.once('exit', (code, signal) => {
      const end: ChildEnd = code === null ? { kind: 'killed', why: `signal ${signal}` } : { kind: 'exit', code };
      // What it said last may still be in the pipe; a descendant that keeps the pipe open gets no longer than this.
      const timer = setTimeout(() => finish(end), LAST_WORDS_MS);
      let open = 1;
      const close = (): void => {
        open -= 1;
        if (open > 0) return;
        clearTimeout(timer);
        finish(end);
      };
      for (const stream of streams) {
        if (stream === null || stream.closed || stream.readableEnded) continue;
        open += 1;
        stream.once('close', close);
      }
      close();
    });
    const watchStart = async (): Promise<void> => {
      const result = await subprocess;
      if (result.exitCode === undefined && result.signal === undefined)
        finish({ kind: 'not-started', reason: result.code ?? 'it could not be started' });
    };
    // With `reject: false` it resolves whatever happens.
    void watchStart();
  });
  return { pid: subprocess.pid, kill, ended };
}
