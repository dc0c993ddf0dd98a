// The process that must not fail: it accepts every connection, hands it to the data process, and while there is none
// joins callers to the model server itself. The standard library and nothing else, so that nothing else can break it.
import { realpathSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, extname, join } from 'node:path';
import type { AgentConfig } from '../src/core/agent-config.ts';
import type { FromSupervisor, ToSupervisor } from '../src/core/processes.ts';
import { Child } from './supervise/child.ts';
import { createSplicer } from './supervise/splice.ts';

/** The name under which the configuration reaches the children, as JSON. */
const CONFIG_ENV = 'MORPHLING_RESOLVED_CONFIG';
/**
 * How long a new connection waits for a data process that is just starting. A spliced connection stays spliced while
 * its client keeps it, unmeasured and unbatched; half a second of patience keeps a whole load from ending so.
 */
const HOLD_MS = 750;
const HELD_MAX = 1_024;
/** A data process that does not take a connection for so long hangs, and is ended. */
const HANDOVER_MS = 5_000;
/** Seconds without a word: data is ended while callers still wait, the mind once it is surely stuck. */
const DATA_SILENT_MAX_S = 5;
const MIND_SILENT_MAX_S = 30;
const WATCH_MS = 50;
/** A mind that has been told to end gets so long for its telemetry children, and is looked at so often. */
const MIND_END_MS = 1_000;
const MIND_POLL_MS = 10;
/** After the drain's own time: whoever is still there is ended. */
const GRACE_MS = 1_000;

/**
 * V8 collects garbage on as many threads as there are cores and lets the young generation grow to 32 MB and more. For a
 * live heap of 15 MB that is waste: measured, batched binary bodies cost 0.63-0.76 of the CPU on one thread, and data
 * takes 85 MB instead of 150 with a small young generation (npm run bench -- footprint).
 */
const NODE_OPTIONS = ['--single-threaded-gc', '--max-semi-space-size=4'];

const DATA_RESTART = { minMs: 10, maxMs: 5_000, crashesMax: 3, windowMs: 60_000, slowMs: 60_000 };
const MIND_RESTART = { minMs: 1_000, maxMs: 60_000, crashesMax: 10, windowMs: 600_000, slowMs: 120_000 };

/** A connection between the moment it was accepted and the moment somebody has it. */
interface Pending {
  readonly socket: Socket;
  readonly sinceMs: number;
}

/** Runs until it is told to stop; resolves with the exit code. Installs the signal handlers: call it once a process. */
export function runSupervisor(config: AgentConfig): Promise<number> {
  return new Promise((resolve, reject) => {
    const splicer = createSplicer({ upstream: config.upstream, connectionsMax: config.limits.connections });
    const held = new Set<Pending>();
    const handed = new Map<number, Pending>();
    // What people switched by hand outlives a crash of the data process within one run of this one.
    const run = `${process.pid}-${Date.now()}`;
    const env = { ...process.env, [CONFIG_ENV]: JSON.stringify(config), MORPHLING_RUN_ID: run };
    let nextId = 1;
    let isDataReady = false;
    let drains = 0;

    const data = new Child({
      name: 'data',
      file: sibling('main'),
      env,
      nodeOptions: NODE_OPTIONS,
      niceness: 0,
      restart: DATA_RESTART,
      rssLimitBytes: Infinity,
      silentMaxS: DATA_SILENT_MAX_S,
      onMessage: (message) => onDataMessage(message),
      onExit: (code, signal) => onDataExit(code, signal),
      log,
    });
    const mind = new Child({
      name: 'mind',
      file: sibling('mind'),
      env,
      nodeOptions: NODE_OPTIONS,
      niceness: 10,
      restart: MIND_RESTART,
      rssLimitBytes: config.mind.rssLimitBytes,
      silentMaxS: MIND_SILENT_MAX_S,
      onMessage: (message) => onMindMessage(message),
      onExit() {
        data.send({ kind: 'mind', state: 'down' });
        tellRestarts();
      },
      log,
    });

    const place = (pending: Pending): void => {
      if (isDataReady && handOver(pending)) return;
      const isWorthWaiting = !isDataReady && data.isExpected && drains === 0;
      if (isWorthWaiting && held.size < HELD_MAX && performance.now() - pending.sinceMs < HOLD_MS) held.add(pending);
      else splicer.splice(pending.socket);
    };

    const handOver = (pending: Pending): boolean => {
      const id = nextId++;
      // Kept here until the child says `accepted`: should it die in between, nothing was read and we still have it.
      if (!data.sendSocket({ kind: 'connection', id }, pending.socket)) return false;
      handed.set(id, pending);
      return true;
    };

    const tellRestarts = (): void => {
      data.send({ kind: 'restarts', counts: { data: data.restarts, mind: mind.restarts } });
    };

    const onDataMessage = (message: Exclude<ToSupervisor, { kind: 'pong' }>): void => {
      switch (message.kind) {
        case 'ready': {
          isDataReady = true;
          log('info', 'data ready', { held: held.size, spliced: splicer.count });
          const waiting = [...held];
          held.clear();
          for (const pending of waiting) place(pending);
          tellRestarts();
          if (mind.isRunning) data.send({ kind: 'mind', state: 'up' });
          break;
        }
        case 'accepted':
          // Closes our copy of the handle only; the connection lives on in the child's.
          handed.get(message.id)?.socket.destroy();
          handed.delete(message.id);
          break;
        case 'start-mind':
          if (drains === 0) mind.start();
          break;
        case 'relay':
          if (message.to === 'mind') mind.send(toRelayed(message));
          break;
        default:
          message satisfies never;
      }
    };

    const onMindMessage = (message: ToSupervisor): void => {
      if (message.kind === 'ready') data.send({ kind: 'mind', state: 'up' });
      else if (message.kind === 'relay' && message.to === 'data') data.send(toRelayed(message));
    };

    const onDataExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      isDataReady = false;
      const waiting = [...handed.values()];
      handed.clear();
      if (drains > 0 && code !== null) {
        finish(code);
        return;
      }
      if (data.isGivenUp)
        log('error', 'data crashed too often: connections go straight to the model', { code, signal });
      for (const pending of waiting) place(pending);
      if (drains > 0) finishWhenSpliced(1);
    };

    // Half-open, as the splice must carry one direction's end alone.
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => undefined);
      // Node would track a handed socket in both processes to count it; nobody asks for that count.
      Object.assign(socket, { server: undefined });
      place({ socket, sinceMs: performance.now() });
    });

    const watch = setInterval(() => {
      const nowMs = performance.now();
      for (const pending of held) {
        if (nowMs - pending.sinceMs < HOLD_MS && data.isExpected) continue;
        held.delete(pending);
        place(pending);
      }
      const [oldest] = handed.values();
      if (oldest !== undefined && nowMs - oldest.sinceMs > HANDOVER_MS + HOLD_MS) {
        log('error', 'data does not take connections and is ended', {});
        data.kill('SIGKILL');
      }
    }, WATCH_MS);

    const drain = (signal: NodeJS.Signals): void => {
      drains += 1;
      const { delayMs, timeoutMs } = config.drain;
      log('info', 'stopping', { signal, times: drains });
      if (drains > 2) finish(130);
      data.release();
      mind.release();
      // Nothing is decided any more. Killed, it would leave a telemetry child behind; told, it ends that first.
      mind.kill('SIGTERM');
      const isHeard = data.send({ kind: 'drain' });
      if (drains > 1) {
        server.close();
        return;
      }
      setTimeout(() => {
        server.close();
        if (!isHeard) finishWhenSpliced(0);
      }, delayMs);
      setTimeout(() => finish(isHeard ? 1 : 0), delayMs + timeoutMs + GRACE_MS);
    };

    /** No data process to speak for the connections: those spliced may end by themselves until the time is up. */
    const finishWhenSpliced = (code: number): void => {
      const poll = setInterval(() => {
        if (splicer.count > 0) return;
        clearInterval(poll);
        finish(code);
      }, WATCH_MS);
    };

    const finish = (code: number): void => {
      clearInterval(watch);
      server.close();
      data.kill('SIGKILL');
      splicer.destroyAll();
      mind.kill('SIGTERM');
      const startMs = performance.now();
      const poll = setInterval(() => {
        if (mind.isRunning && performance.now() - startMs < MIND_END_MS) return;
        clearInterval(poll);
        mind.kill('SIGKILL');
        resolve(code);
      }, MIND_POLL_MS);
    };

    process.on('SIGTERM', () => drain('SIGTERM'));
    process.on('SIGINT', () => drain('SIGINT'));
    // Nobody may be reading the log any more; saying so in the log would raise the same error without end.
    process.stderr.on('error', () => undefined);
    // Whatever goes wrong here, the socket is held on to.
    process.on('uncaughtException', (error) => log('error', 'fault in the supervisor', { error: error.message }));

    server.once('error', (error) => reject(error));
    server.listen(config.listen.port, config.listen.host, () => {
      server.on('error', (error) => log('error', 'cannot accept', { error: error.message }));
      log('info', 'listening', { ...(server.address() as object) });
      data.start();
    });
  });
}

function toRelayed(message: ToSupervisor & { kind: 'relay' }): FromSupervisor {
  return { kind: 'relayed', message: message.message };
}

/** The twin of this file: `.ts` in the repository, `.js` in the package. */
function sibling(name: string): string {
  return join(dirname(import.meta.filename), name + extname(import.meta.filename));
}

function log(level: 'info' | 'warn' | 'error', message: string, fields: object = {}): void {
  process.stderr.write(
    `${JSON.stringify({ time: new Date().toISOString(), level, message, process: 'supervisor', ...fields })}\n`,
  );
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const text = process.env[CONFIG_ENV];
  if (text === undefined) {
    process.stderr.write(`${CONFIG_ENV} is not set: start the agent with "morphling agent"\n`);
    process.exitCode = 64;
  } else {
    process.exit(await runSupervisor(JSON.parse(text) as AgentConfig));
  }
}
