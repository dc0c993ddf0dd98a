// Composition root of the data process: every room in one place, each handed only what it needs.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { toStateDirs } from '../src/config/state-dir.ts';
import type { AgentConfig } from '../src/core/agent-config.ts';
import { monotonicClock } from '../src/core/clock.ts';
import { createLogger, type Logger } from '../src/core/log.ts';
import type { SlaTarget } from '../src/core/policy.ts';
import type { FromSupervisor, RestartCounts, ToMind, ToSupervisor } from '../src/core/processes.ts';
import type { ControlDeps } from './control/deps.ts';
import { createMetrics } from './control/metrics.ts';
import { EventHub } from './control/stream.ts';
import { TokenFile } from './control/token.ts';
import { toBoth } from './main/both-sinks.ts';
import { createDrain } from './main/drain.ts';
import { hear, type DataProcess } from './main/hear.ts';
import { watchMemory } from './main/memory.ts';
import { createEnginePage } from './main/engine-page.ts';
import { openPorts } from './main/ports.ts';
import { createReadiness } from './main/readiness.ts';
import { TelemetryMemory, toLiveModels, toModelStatuses } from './main/status.ts';
import { SwitchStore } from './main/switches.ts';
import { chooseStateDir, TRIAL_STATES, Tuning } from './main/tuning.ts';
import { readVersion } from './main/version.ts';
import { createUpstream } from './proxy/forward.ts';
import { createDataServer } from './proxy/server.ts';
import { createProxy } from './proxy/stack.ts';
import { createSense } from './sense/sense.ts';

/** How often the reflex looks, ms: a few times within the shortest SLA there is. */
const REFLEX_MS = 10;
/** And while nothing waits: waking up a hundred times a second was half of an idle agent's CPU. */
const REFLEX_IDLE_MS = 50;

async function runData(config: AgentConfig, env: NodeJS.ProcessEnv, log: Logger): Promise<DataProcess> {
  const clock = monotonicClock;
  const nowMs = (): number => clock.nowMs();
  const startMs = nowMs();
  const version = readVersion();
  const stateDir = chooseStateDir(toStateDirs(config.stateDir, env));
  const stream = new EventHub();
  const telemetry = new TelemetryMemory(nowMs);
  let isPaused = false;
  let mind: 'up' | 'down' | 'not started' = 'not started';
  let restarts: RestartCounts | null = null;

  const tuning = new Tuning({
    config,
    log,
    stateDir,
    nowMs,
    slaOf: (model) => sense.sla(model),
    windowOf: (model) => sense.windows().get(model) ?? null,
    seed: randomInt(2 ** 31),
    gpuName: () => telemetry.get()?.devices[0]?.name ?? null,
    onChange(entry, cause) {
      proxy.settingsChanged();
      metrics.changed(entry, cause);
      stream.publish({ event: 'change', data: entry });
      toMind({ kind: 'changed', entry });
    },
  });
  const switchStore = new SwitchStore(stateDir, env['MORPHLING_RUN_ID'] ?? '');
  const [, switches] = await Promise.all([tuning.load(), switchStore.load()]);

  const sense = createSense({
    startMs,
    policy: () => tuning.policy,
    version: (model) => tuning.cells.get(model).current,
    load: (model) => proxy.load(model),
    telemetry: () => telemetry.get(),
  });
  const parts = { sense, tuning, proxy: null as unknown as ReturnType<typeof createProxy> };
  const metrics = createMetrics(
    {
      build: { version, commit: env['MORPHLING_COMMIT'] ?? 'unknown', node: process.version },
      models: () => toLiveModels(parts),
      telemetry: () => telemetry.get(),
      slaP99Ms: () => tuning.policy.sla.p99Ms ?? null,
      isConfigInvalid: () => config.invalid.length > 0,
      isBypass: () => proxy.isBypassed,
      samplingIntervalS: () => sense.intervalS(),
      stateProblem: () => tuning.stateProblem,
      trial: { states: TRIAL_STATES, state: () => tuning.trialState },
      upstream: () => upstream,
      restarts: () => restarts,
      memoryRatio: () => memory.ratio,
    },
    { reservedModels: Object.keys(config.models) },
  );
  const upstream = createUpstream({ origin: config.upstream, timeoutMs: config.limits.upstreamTimeoutMs });
  const enginePage = createEnginePage(config, () => proxy.lanes());
  const proxy = createProxy({
    config,
    sink: toBoth(sense, toBoth(metrics.sink, tuning.trials)),
    log,
    clock,
    upstream,
    settings: (model) => tuning.versionOf(model),
    // Only a target that somebody gave may refuse a request: the assumed one would shed where no agent would have.
    slaMs: (model) => toGivenMs(sense.sla(model)),
    onUnbatched(model) {
      // The start setting is made for batches: one call at a time. A model that takes none would be slower than without us.
      const cell = tuning.cells.get(model);
      const { settings, source } = cell.current;
      if (source === 'start') cell.put({ ...settings, concurrency: cell.bounds.concurrency[1] }, 'start');
    },
    seed: process.pid,
    ...(enginePage === undefined ? {} : { enginePage }),
  });
  parts.proxy = proxy;
  const server = createDataServer(proxy, config.limits.connections);
  const readiness = createReadiness(upstream);
  const memory = watchMemory(config.telemetry.cgroupRoot, log, (pressure) => proxy.setPressure(pressure));

  const publishSwitches = (): void => {
    switchStore.save({ isPaused, isBypassed: proxy.isBypassed, policy: tuning.policy });
    toMind({ kind: 'policy', policy: tuning.policy, isPaused });
    stream.publish({ event: 'switches', data: { isBypass: proxy.isBypassed, isPaused } });
  };
  if (switches !== null) {
    tuning.policy = switches.policy;
    isPaused = switches.isPaused;
  }
  // Rather no tuning than tuning on a configuration that was not understood.
  if (config.invalid.length > 0 || switches?.isBypassed === true) proxy.setBypassed(true);

  const token = new TokenFile(join(stateDir, 'token'));
  const tokenProblem = token.ensure();
  if (tokenProblem !== null) log.warn('no token: the control port takes no writes', { problem: tokenProblem });
  const control: ControlDeps = {
    version,
    status: () => ({
      version,
      uptimeS: (nowMs() - startMs) / 1000,
      upstream: config.upstream,
      isReady: readiness.read().isReady,
      isPaused,
      isBypass: proxy.isBypassed,
      mode: tuning.policy.mode,
      decider: config.decider,
      engine: config.engine,
      mind,
      configInvalid: [...config.invalid],
      stateProblem: tuning.stateProblem,
      deviceSource: telemetry.get()?.deviceSource ?? null,
      telemetry: [...(telemetry.get()?.health ?? [])],
      models: toModelStatuses(parts),
    }),
    models: () => tuning.cells.all().map((cell) => ({ model: cell.model, version: cell.current, bounds: cell.bounds })),
    putSettings: (model, settings, isImmediate) => tuning.setByUser(model, settings, isImmediate),
    rollBack: (model) => tuning.rollBack(model),
    policy: () => tuning.policy,
    putPolicy(policy) {
      tuning.policy = policy;
      proxy.settingsChanged();
      publishSwitches();
    },
    isPaused: () => isPaused,
    setPaused(paused) {
      isPaused = paused;
      if (paused) tuning.endTrials('paused', true);
      publishSwitches();
    },
    isBypass: () => proxy.isBypassed,
    setBypass(isBypass) {
      if (isBypass) tuning.endTrials('bypass is on', false);
      proxy.setBypassed(isBypass);
      publishSwitches();
    },
    history: (filter) => tuning.history.list(filter),
    explain: (model, limit) => tuning.explanations(model, limit),
    snapshot: () => sense.lastSnapshot(),
    readiness: () => readiness.read(),
    stream,
    token,
    log,
    nowMs,
  };
  const ports = await openPorts(config, control, metrics, log);

  let snapshotTimer: NodeJS.Timeout;
  const tick = (): void => {
    const snapshot = sense.tick(nowMs());
    if (snapshot !== null && snapshot.models.length > 0) {
      if (mind === 'not started') post({ kind: 'start-mind' });
      tuning.windowEnded(snapshot);
      // The mind reads telemetry itself.
      toMind({ kind: 'snapshot', snapshot: { ...snapshot, telemetry: null } });
      stream.publish({ event: 'snapshot', data: snapshot as never });
    }
    snapshotTimer = setTimeout(tick, Math.max(1, sense.nextTickMs() - nowMs()));
    snapshotTimer.unref();
  };
  tick();
  let reflexTimer: NodeJS.Timeout;
  const look = (): void => {
    if (tuning.advance()) proxy.settingsChanged();
    // `fixed` means that nothing is tuned: nobody would bring the settings back.
    if (!isPaused && !proxy.isBypassed && config.decider !== 'fixed') tuning.look(proxy.batchedLanes());
    reflexTimer = setTimeout(look, proxy.openRequests > 0 ? REFLEX_MS : REFLEX_IDLE_MS);
    reflexTimer.unref();
  };
  look();

  const drain = createDrain({
    ...config.drain,
    log,
    start() {
      readiness.drain();
      proxy.drain();
    },
    refuse: () => server.http.close(),
    isDone() {
      server.closeIdle();
      return proxy.openRequests === 0;
    },
    end(isClean) {
      clearTimeout(snapshotTimer);
      clearTimeout(reflexTimer);
      memory.stop();
      proxy.close();
      const closing = [proxy.stop(), ports.close(), tuning.flush(), switchStore.flush()];
      void Promise.allSettled(closing).then(() => process.exit(isClean ? 0 : 1));
    },
  });

  if (process.send === undefined) server.http.listen(config.listen.port, config.listen.host);
  return {
    take: (socket) => server.take(socket),
    received(message) {
      if (message.kind === 'telemetry') telemetry.put(message.reading);
      else if (message.kind === 'apply') {
        // It may have been on its way when somebody paused.
        if (!isPaused && !proxy.isBypassed) tuning.propose(message.proposal);
      } else {
        tuning.explained(message.explanation);
        stream.publish({ event: 'explain', data: message.explanation });
      }
    },
    setRestarts(counts) {
      restarts = counts;
    },
    setMind(isUp) {
      mind = isUp ? 'up' : 'down';
      if (isUp) toMind({ kind: 'policy', policy: tuning.policy, isPaused });
    },
    drain,
  };
}

function toGivenMs({ p99Ms, isAssumed }: SlaTarget): number | null {
  return isAssumed ? null : p99Ms;
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
// A log that nobody reads any more is no reason to stop serving.
process.stderr.on('error', () => undefined);
const log = createLogger({
  level: config.logLevel,
  write: (line) => process.stderr.write(line),
  nowMs: () => Date.now(),
  fields: { process: 'data' },
});
const data = await runData(config, process.env, log);
process.on('message', (message: FromSupervisor, socket: Socket | undefined) => hear(data, post, message, socket));
// Without its supervisor nobody accepts any more: what is under way ends, then the process.
const leave = (): void => {
  data.drain();
  data.drain();
};
process.on('disconnect', leave);
// It may have died while the rooms were set up, when nobody listened for it yet.
if (process.send !== undefined && !process.connected) leave();
// Signals reach the whole group; the supervisor decides what they mean.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (!process.connected) data.drain();
  });
}
post({ kind: 'ready' });
