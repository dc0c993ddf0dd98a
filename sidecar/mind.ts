// Composition root of the mind process: telemetry, deciders, guard and loop. It may die at any time; data serves on.
import type { AgentConfig } from '../src/core/agent-config.ts';
import type { HistoryEntry } from '../src/core/history.ts';
import { createLogger, type Logger } from '../src/core/log.ts';
import type { Policy } from '../src/core/policy.ts';
import type { FromSupervisor, ToData, ToMind, ToSupervisor } from '../src/core/processes.ts';
import type { Snapshot } from '../src/core/snapshot.ts';
import { toBusyRatio } from '../src/telemetry/accelerator/busy.ts';
import { createTelemetry } from '../src/telemetry/telemetry.ts';
import { aimd } from './decide/aimd.ts';
import { toDecideContext } from './decide/context.ts';
import type { Decider } from './decide/decider.ts';
import { hold } from './decide/decisions.ts';
import { fixed } from './decide/fixed.ts';
import { Gradient } from './decide/gradient.ts';
import { Guard } from './decide/guard.ts';
import { Linear } from './decide/linear.ts';
import { ControlLoop } from './loop.ts';

const DECIDERS: Readonly<Record<AgentConfig['decider'], () => Decider>> = {
  linear: () => new Linear(),
  aimd: () => aimd,
  gradient: () => new Gradient(),
  // Nobody stands in for a rule that does nothing.
  fixed: () => fixed,
};

/** Readings go to the data process for its metrics page; the devices themselves are read at their own pace. */
const REPORT_INTERVAL_MS = 1000;

interface Mind {
  received(message: ToMind): void;
  /** Resolves when no child of the telemetry is left. */
  stop(): Promise<void>;
}

function runMind(config: AgentConfig, log: Logger, path: string, tell: (message: ToData) => void): Mind {
  let policy: Policy = config.policy;
  let last: Snapshot | null = null;
  const guard = new Guard();
  // What stands behind the chosen decider when it throws: the rule that needs least, then the last good settings.
  const decider = DECIDERS[config.decider]();
  const isLone = config.decider === 'linear' || config.decider === 'fixed';
  const deciders = isLone ? [decider] : [decider, new Linear()];

  const telemetry = createTelemetry(config, {
    busyRatio: () => (last === null ? null : toBusyRatio(last.models)),
    intervalMs: () => 1000 * (last?.isBurst === true ? policy.sampling.burstIntervalS : policy.sampling.intervalS),
    path,
  });
  telemetry.start();
  const reporting = setInterval(
    () => tell({ kind: 'telemetry', reading: telemetry.reading(performance.now()) }),
    REPORT_INTERVAL_MS,
  );

  const loop = new ControlLoop({
    decide: deciders.map((each) => (model, snapshot) => each.decide(model, toDecideContext(model, snapshot, policy))),
    guard: (proposal, model, snapshot) => guard.check(proposal, model, snapshot, policy),
    apply(proposal) {
      tell({ kind: 'apply', proposal });
      return true;
    },
    explained: (explanation) => tell({ kind: 'explain', explanation }),
    failed: (model, message) => log.warn('a decision failed', { model, error: message }),
    nowIso: () => new Date().toISOString(),
  });

  const trying = new Set<string>();
  /** Of them, those whose trial `explain` has been told of. */
  const told = new Set<string>();
  /** Models under trial at any time since the last snapshot: their window mixes two settings and teaches nothing. */
  let mixed = new Set<string>();

  /** The guard and the deciders learn what became of every change, their own and others'. */
  const changed = (entry: HistoryEntry): void => {
    const { model, from, to, result, source, trial } = entry;
    if (result === 'trial') {
      trying.add(model);
      mixed.add(model);
      if (trial?.blocks === 0) told.delete(model);
    } else if (result !== 'refused' && result !== 'proven') trying.delete(model);
    if (result === 'rolled_back') {
      const ratePerS = last?.models.find((known) => known.model === model)?.window.ratePerS ?? 0;
      guard.rolledBack(model, from, ratePerS, last?.atMs ?? 0, policy);
      for (const each of deciders) each.settled?.(model, from, true);
    } else if (result === 'applied' && source === 'decider') guard.applied(model, to, last?.atMs ?? 0);
    else if (result === 'applied') for (const each of deciders) each.settled?.(model, to, false);
  };

  const decide = (snapshot: Snapshot): void => {
    const models = snapshot.models.filter(({ model }) => !mixed.has(model));
    for (const model of models) guard.observe(model, snapshot.atMs, policy);
    loop.tick({ ...snapshot, models });
    for (const model of snapshot.models) {
      // Once a trial: a line a window would push all others out.
      if (!mixed.has(model.model) || told.has(model.model)) continue;
      told.add(model.model);
      const decision = hold(model, 'trial', 'a trial is running, its verdict comes first');
      const at = new Date().toISOString();
      tell({ kind: 'explain', explanation: { at, model: model.model, decision, guarded: null, result: 'held' } });
    }
    mixed = new Set(trying);
  };

  return {
    received(message) {
      switch (message.kind) {
        case 'policy':
          policy = message.policy;
          if (message.isPaused) loop.pause();
          else loop.resume();
          break;
        case 'snapshot':
          last = { ...message.snapshot, telemetry: telemetry.reading(performance.now()) };
          decide(last);
          break;
        case 'changed':
          changed(message.entry);
          break;
        default:
          message satisfies never;
      }
    },
    async stop() {
      clearInterval(reporting);
      await telemetry.stop();
    },
  };
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
  fields: { process: 'mind' },
});
const post = (message: ToSupervisor): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};
const mind = runMind(config, log, process.env['PATH'] ?? '', (message) => post({ kind: 'relay', to: 'data', message }));
process.on('message', (message: FromSupervisor) => {
  if (message.kind === 'ping') post({ kind: 'pong' });
  else if (message.kind === 'relayed') mind.received(message.message as ToMind);
});
// Without a supervisor there is nothing to decide for, and no telemetry child may be left behind.
const leave = (): void => void mind.stop().finally(() => process.exit(0));
process.on('disconnect', leave);
// It may have died while our modules were loaded, when nobody listened for it yet.
if (process.send !== undefined && !process.connected) leave();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.disconnect?.());
post({ kind: 'ready' });
