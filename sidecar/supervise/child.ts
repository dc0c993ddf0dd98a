// One process kept alive: started, watched, started again with back-off.
import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Socket } from 'node:net';
import type { FromSupervisor, RestartReason, ToSupervisor } from '../../src/core/processes.ts';

export interface ChildOptions {
  readonly name: 'data' | 'mind';
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  /** Options of its Node, besides this process's own. */
  readonly nodeOptions: readonly string[];
  /** Scheduling priority, 0 normal to 19 last. */
  readonly niceness: number;
  readonly restart: RestartRule;
  /** Resident bytes above which it is ended; Infinity: never. */
  readonly rssLimitBytes: number;
  /** So many seconds without an answer to a ping and it is ended: its event loop hangs. */
  readonly silentMaxS: number;
  readonly onMessage: (message: Exclude<ToSupervisor, { kind: 'pong' }>) => void;
  readonly onExit: (code: number | null, signal: NodeJS.Signals | null) => void;
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void;
}

export interface RestartRule {
  readonly minMs: number;
  readonly maxMs: number;
  /** This many crashes within the window: only one try in `slowMs`. */
  readonly crashesMax: number;
  readonly windowMs: number;
  readonly slowMs: number;
}

const WATCH_MS = 1_000;
/** A child that loads its modules from a cold disk answers nothing yet. */
const START_MAX_S = 30;
/** Relays not yet written by then are dropped: a stuck process must not fill the supervisor's memory. */
const UNSENT_MAX = 64;

export class Child {
  readonly #options: ChildOptions;
  #process: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | null = null;
  #crashesMs: number[] = [];
  #unsent = 0;
  #isWanted = false;
  /** Pings since the last answer. They are counted, not timed: where the whole pod was frozen, nobody hung. */
  #silentS = 0;
  #hasAnswered = false;
  #endedFor: RestartReason = 'crash';
  readonly #restarts: Record<RestartReason, number> = { crash: 0, hung: 0, memory: 0 };

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  /** How often it had to be started again, by why. */
  get restarts(): Readonly<Record<RestartReason, number>> {
    return this.#restarts;
  }

  /** It crashed too often: started only now and then. */
  get isGivenUp(): boolean {
    return this.#recentCrashes() >= this.#options.restart.crashesMax;
  }

  /** It is there, starting, or about to be started again soon. */
  get isExpected(): boolean {
    return this.#isWanted && !this.isGivenUp;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  start(): void {
    this.#isWanted = true;
    if (this.#process !== null || this.#timer !== null) return;
    this.#spawn();
  }

  /** Not started again after it ends. */
  release(): void {
    this.#isWanted = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** False: it is not there, or too far behind; the message is lost. */
  send(message: FromSupervisor): boolean {
    const child = this.#process;
    if (child === null || !child.connected || this.#unsent >= UNSENT_MAX) return false;
    this.#unsent += 1;
    child.send(message, () => {
      this.#unsent -= 1;
    });
    return true;
  }

  /** Hands a socket over; ours stays open until the child says that it has its own. */
  sendSocket(message: FromSupervisor, socket: Socket): boolean {
    const child = this.#process;
    if (child === null || !child.connected) return false;
    child.send(message, socket, { keepOpen: true }, () => undefined);
    return true;
  }

  #spawn(): void {
    const { name, file, env, nodeOptions, niceness, log } = this.#options;
    const execArgv = [...process.execArgv, ...nodeOptions];
    const child = fork(file, [], { env, execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#process = child;
    this.#unsent = 0;
    this.#silentS = 0;
    this.#hasAnswered = false;
    this.#endedFor = 'crash';
    if (niceness !== 0 && child.pid !== undefined) {
      try {
        setPriority(child.pid, niceness);
      } catch {
        // It has ended already, or may not be changed here: it then only runs at normal priority.
      }
    }
    child.on('message', (message: ToSupervisor) => {
      this.#silentS = 0;
      this.#hasAnswered = true;
      if (message.kind !== 'pong') this.#options.onMessage(message);
    });
    // A failed send has its own callback; a failed start is followed by no `exit`.
    child.on('error', (error) => {
      log('error', `${name} could not be started`, { error: error.message });
      if (child.pid === undefined) this.#ended(child, null, null);
    });
    child.on('exit', (code, signal) => this.#ended(child, code, signal));
    this.#watch = setInterval(() => {
      this.#checkMemory(child);
      this.#checkPulse(child);
    }, WATCH_MS);
    log('info', `${name} started`, { pid: child.pid });
  }

  #ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#process !== child) return;
    const { name, restart, log, onExit } = this.#options;
    this.#process = null;
    if (this.#watch !== null) clearInterval(this.#watch);
    if (this.#isWanted) {
      this.#restarts[this.#endedFor] += 1;
      this.#crashesMs.push(performance.now());
      const crashes = this.#recentCrashes();
      const fastMs = Math.min(restart.maxMs, restart.minMs * 2 ** (crashes - 1));
      const delayMs = this.isGivenUp ? restart.slowMs : fastMs;
      log('warn', `${name} ended`, { code, signal, reason: this.#endedFor, crashes, restartMs: delayMs });
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#spawn();
      }, delayMs);
    }
    onExit(code, signal);
  }

  #recentCrashes(): number {
    const sinceMs = performance.now() - this.#options.restart.windowMs;
    this.#crashesMs = this.#crashesMs.filter((atMs) => atMs >= sinceMs);
    return this.#crashesMs.length;
  }

  #checkMemory(child: ChildProcess): void {
    const { rssLimitBytes, name, log } = this.#options;
    if (rssLimitBytes === Infinity || child.pid === undefined) return;
    const rssBytes = readRssBytes(child.pid);
    if (rssBytes === null || rssBytes <= rssLimitBytes) return;
    log('warn', `${name} takes too much memory and is ended`, { rssBytes, rssLimitBytes });
    this.#endedFor = 'memory';
    child.kill('SIGKILL');
  }

  #checkPulse(child: ChildProcess): void {
    const { silentMaxS, name, log } = this.#options;
    if (this.#silentS >= (this.#hasAnswered ? silentMaxS : START_MAX_S)) {
      log('error', `${name} hangs and is ended`, { silentS: this.#silentS });
      this.#endedFor = 'hung';
      child.kill('SIGKILL');
      return;
    }
    this.#silentS += 1;
    this.send({ kind: 'ping' });
  }
}

/** Resident memory by /proc; null where there is none. `status` says it in kB, whatever the page size. */
export function readRssBytes(pid: number): number | null {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match === null ? null : Number(match[1]) * 1024;
  } catch {
    return null;
  }
}
