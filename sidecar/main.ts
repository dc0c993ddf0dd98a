// Composition root of the data process: proxy, senses and settings in one place, each handed only what it needs.
import { monotonicClock } from '../src/core/clock.ts';
import type { AgentConfig } from '../src/core/agent-config.ts';
import { createLogger, type Logger } from '../src/core/log.ts';
import { toBounds, type SlaTarget } from '../src/core/policy.ts';
import type { FromSupervisor, ToData, ToMind, ToSupervisor } from '../src/core/processes.ts';
import { Cells } from './act/cells.ts';
import { createDataServer } from './proxy/server.ts';
import { createProxy } from './proxy/stack.ts';
import { createSense } from './sense/sense.ts';
import type { Socket } from 'node:net';

/** The parts that outlive a call and that the process around them needs to reach. */
interface DataProcess {
  /** A connection that the supervisor accepted. */
  take(socket: Socket): void;
  received(message: ToData): void;
  setMind(isUp: boolean): void;
  /** The first call drains, a second one shortens it. */
  drain(): void;
}

/** Runs the data process on an open IPC channel, or on its own listener when there is none (tests, debugging). */
function runData(config: AgentConfig, log: Logger): DataProcess {
  const clock = monotonicClock;
  const policy = config.policy;
  let isMindAsked = false;

  const sense = createSense({
    startMs: clock.nowMs(),
    policy: () => policy,
    version: (model) => cells.get(model).current,
    load: (model) => proxy.load(model),
  });
  const cells = new Cells({
    boundsOf: (model) => toBounds(policy, sense.sla(model)),
    reserved: Object.keys(config.models),
  });
  const proxy = createProxy({
    config,
    sink: sense,
    log,
    clock,
    settings: (model) => cells.get(model).current,
    // Only a target that somebody gave may refuse a request: the assumed one would shed where no agent would have.
    slaMs: (model) => toGivenMs(sense.sla(model)),
    onUnbatched: (model) => {
      // The start setting is made for batches: one call at a time. A model that takes none would be slower than without us.
      const cell = cells.get(model);
      const { settings, source } = cell.current;
      if (source === 'start') cell.put({ ...settings, concurrency: cell.bounds.concurrency[1] }, 'start');
    },
    seed: process.pid,
  });
  const server = createDataServer(proxy, config.limits.connections);
  // Rather no tuning than tuning on a configuration that was not understood.
  if (config.invalid.length > 0) proxy.setBypassed(true);

  let snapshotTimer: NodeJS.Timeout;
  const tick = (): void => {
    const snapshot = sense.tick(clock.nowMs());
    if (snapshot !== null && snapshot.models.length > 0) {
      if (!isMindAsked) post({ kind: 'start-mind' });
      isMindAsked = true;
      toMind({ kind: 'snapshot', snapshot });
    }
    snapshotTimer = setTimeout(tick, Math.max(1, sense.nextTickMs() - clock.nowMs()));
    snapshotTimer.unref();
  };
  tick();

  const drainer = createDrainer({
    ...config.drain,
    log,
    start: () => proxy.drain(),
    refuse: () => server.http.close(),
    isDone: () => {
      server.closeIdle();
      return proxy.openRequests === 0;
    },
    end: (isClean) => {
      clearTimeout(snapshotTimer);
      proxy.close();
      void proxy.stop().finally(() => process.exit(isClean ? 0 : 1));
    },
  });

  if (process.send === undefined) server.http.listen(config.listen.port, config.listen.host);
  else post({ kind: 'ready' });
  return {
    take: server.take,
    received: (message) => log.debug('from mind', { kind: message.kind }),
    setMind(isUp) {
      if (isUp) toMind({ kind: 'policy', policy, isPaused: false });
    },
    drain: () => drainer(),
  };
}

function toGivenMs({ p99Ms, isAssumed }: SlaTarget): number | null {
  return isAssumed ? null : p99Ms;
}

interface DrainSteps {
  readonly delayMs: number;
  readonly timeoutMs: number;
  readonly log: Logger;
  /** Batches stop waiting, answers close their connections; requests are still taken. */
  readonly start: () => void;
  /** The balancer has had its time: no more connections. */
  readonly refuse: () => void;
  /** Nothing is under way any more. */
  readonly isDone: () => boolean;
  readonly end: (isClean: boolean) => void;
}

const DRAIN_LOOK_MS = 50;
/** What a second signal leaves to requests in flight. */
const SHORT_MS = 1_000;

/** One deadline for the whole drain, so that no two waits add up. */
function createDrainer({ delayMs, timeoutMs, log, start, refuse, isDone, end }: DrainSteps): () => void {
  let openUntilMs = Infinity;
  let endsAtMs = Infinity;
  return () => {
    const nowMs = performance.now();
    const isFirst = endsAtMs === Infinity;
    openUntilMs = isFirst ? nowMs + delayMs : nowMs;
    endsAtMs = Math.min(endsAtMs, isFirst ? nowMs + delayMs + timeoutMs : nowMs + SHORT_MS);
    log.info('draining', { delayMs, timeoutMs, isShortened: !isFirst });
    if (!isFirst) return;
    start();
    let isRefusing = false;
    const timer = setInterval(() => {
      const atMs = performance.now();
      if (atMs < openUntilMs) return;
      if (!isRefusing) refuse();
      isRefusing = true;
      const isEmpty = isDone();
      if (!isEmpty && atMs < endsAtMs) return;
      clearInterval(timer);
      end(isEmpty);
    }, DRAIN_LOOK_MS);
  };
}

function post(message: ToSupervisor): void {
  // Without a supervisor there is nobody to tell; a closed channel is seen by `disconnect`.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function toMind(message: ToMind): void {
  post({ kind: 'relay', to: 'mind', message });
}

const configText = process.env['MORPHLING_RESOLVED_CONFIG'];
if (configText === undefined) throw new Error('MORPHLING_RESOLVED_CONFIG is not set');
const config = JSON.parse(configText) as AgentConfig;
const log = createLogger({
  level: config.logLevel,
  write: (line) => process.stderr.write(line),
  nowMs: () => Date.now(),
  fields: { process: 'data' },
});
const data = runData(config, log);
process.on('message', (message: FromSupervisor, socket: Socket | undefined) => {
  switch (message.kind) {
    case 'connection':
      post({ kind: 'accepted', id: message.id });
      // Undefined: the caller left while its handle was on the way.
      if (socket !== undefined) data.take(socket);
      break;
    case 'drain':
      data.drain();
      break;
    case 'mind':
      data.setMind(message.state === 'up');
      break;
    case 'relayed':
      data.received(message.message as ToData);
      break;
    default:
      message satisfies never;
  }
});
// Without its supervisor nobody accepts any more: what is under way ends, then the process.
process.on('disconnect', () => {
  data.drain();
  data.drain();
});
// Signals reach the whole group; the supervisor decides what they mean.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (!process.connected) data.drain();
  });
}
