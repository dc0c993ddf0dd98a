// The settings side of the data process: cells, their one writer, trials, what is remembered on disk, and the reflex.
import { accessSync, constants, mkdirSync } from 'node:fs';
import type { AgentConfig } from '../../src/core/agent-config.ts';
import type { HistoryEntry } from '../../src/core/history.ts';
import type { Logger } from '../../src/core/log.ts';
import { type Policy, type SlaTarget, toBounds } from '../../src/core/policy.ts';
import { createRandom } from '../../src/core/random.ts';
import type { Explanation, Proposal } from '../../src/core/proposal.ts';
import type { Settings, SettingsVersion } from '../../src/core/settings.ts';
import type { Snapshot, WindowStats } from '../../src/core/snapshot.ts';
import type { TrialStatus } from '../../src/core/trial.ts';
import { type Applied, Applier } from '../act/apply.ts';
import { formatChange } from '../act/change-log.ts';
import { Cells } from '../act/cells.ts';
import { HistoryLog } from '../act/history.ts';
import { SavedSettings } from '../act/saved.ts';
import { StateStore } from '../act/state.ts';
import { Trials } from '../act/trial.ts';
import { Reflex } from '../decide/reflex.ts';
import { createSwitchback } from '../proxy/trial.ts';

export interface TuningOptions {
  readonly config: AgentConfig;
  readonly log: Logger;
  readonly stateDir: string;
  readonly nowMs: () => number;
  readonly slaOf: (model: string) => SlaTarget;
  /** The model's last closed window; null before the first. */
  readonly windowOf: (model: string) => WindowStats | null;
  /** Seed of the lots by which slices of trials are drawn: no two agents should try things in step. */
  readonly seed: number;
  /** Name of the device, once it is known: settings that held on one do not hold on another. */
  readonly gpuName: () => string | null;
  /** Told after every change that history records. `cause` is set on a rollback. */
  readonly onChange: (entry: HistoryEntry, cause: string | null) => void;
}

/** One look of the reflex: a queue and how old it is. */
interface Queue {
  readonly model: string;
  readonly queueDepth: number;
  readonly oldestWaitMs: number;
  /** Requests refused as too late, ever. */
  readonly lateSheds: number;
}

const EXPLANATIONS_MAX = 100;

/** Of the trial machine, the first that is true of any model: a candidate is tried; one that passed is watched; neither. */
export const TRIAL_STATES = ['running', 'watching', 'idle'] as const;

export class Tuning {
  readonly cells: Cells;
  readonly applier: Applier;
  /** To be told of every ending, as sense is. */
  readonly trials: Trials;
  readonly history: HistoryLog;
  readonly #options: TuningOptions;
  readonly #saved = new SavedSettings();
  readonly #store: StateStore;
  readonly #reflexes = new Map<string, Reflex>();
  readonly #lateSheds = new Map<string, number>();
  readonly #explanations = new Map<string, Explanation[]>();
  #policy: Policy;

  constructor(options: TuningOptions) {
    const { config, log, stateDir } = options;
    this.#options = options;
    this.#policy = config.policy;
    const onHealth = (problem: string | null): void => {
      if (problem === null) log.info('state reaches the disk again');
      else log.warn('state does not reach the disk: settings would be lost by a restart', { problem });
    };
    this.#store = new StateStore({ dir: stateDir, name: 'settings', onHealth });
    this.history = new HistoryLog({ dir: stateDir });
    this.cells = new Cells({
      boundsOf: (model) => toBounds(this.#policy, options.slaOf(model)),
      restore: (model) => this.#saved.restore(this.#classOf(model)),
      reserved: Object.keys(config.models),
    });
    this.trials = new Trials({
      createPlayer: createSwitchback,
      policy: () => this.#policy,
      slaMs: (model) => options.slaOf(model).p99Ms,
      random: createRandom(options.seed),
    });
    const { cells, trials } = this;
    this.applier = new Applier({ cells, trials, policy: () => this.#policy, wallMs: () => Date.now() });
    this.applier.subscribe((entry, cause) => {
      log.info('settings', { change: formatChange(entry), reason: entry.reason });
      this.history.append(entry);
      this.#save(entry.model);
      options.onChange(entry, cause);
    });
  }

  get policy(): Policy {
    return this.#policy;
  }

  set policy(policy: Policy) {
    this.#policy = policy;
    this.cells.rebound();
  }

  get stateProblem(): string | null {
    return this.#store.problem;
  }

  /** Reads what earlier runs left. Never throws: without state the start settings hold. */
  async load(): Promise<void> {
    const [state] = await Promise.all([this.#store.load(), this.history.load()]);
    for (const problem of state.problems) this.#options.log.warn('a state file is damaged', { problem });
    if (state.kind === 'loaded') this.#options.log.info('settings restored', { ...this.#saved.load(state.value) });
  }

  async flush(): Promise<void> {
    await Promise.all([this.#store.flush(), this.history.flush()]);
  }

  /** A decider's word that the guard let pass. */
  propose(proposal: Proposal): Applied {
    return this.applier.propose(proposal, this.#options.windowOf(proposal.model), this.#options.nowMs());
  }

  setByUser(model: string, settings: Settings, isImmediate: boolean): Applied {
    const { windowOf, nowMs } = this.#options;
    return this.applier.setByUser(model, settings, isImmediate, windowOf(model), nowMs());
  }

  rollBack(model: string): Applied {
    return this.applier.rollBack(model, 'asked for by a person', this.#options.nowMs());
  }

  /** What a batch that leaves now is served under. Asked for every batch. */
  versionOf(model: string): SettingsVersion {
    return this.applier.versionAt(model, this.#options.nowMs());
  }

  /** Where the model's trial stands; null: there is none. */
  trialOf(model: string): TrialStatus | null {
    return this.trials.status(model, this.#options.nowMs());
  }

  get trialState(): (typeof TRIAL_STATES)[number] {
    if (this.trials.running > 0) return 'running';
    return this.cells.all().some(({ model }) => this.applier.isWatching(model)) ? 'watching' : 'idle';
  }

  /** Moves the trials on; to be called every few milliseconds. True when another arm's turn has come. */
  advance(): boolean {
    const { turns } = this.trials;
    this.applier.advance(this.#options.nowMs());
    return this.trials.turns !== turns;
  }

  /** Nothing may be tried now, because `reason`; `ofDeciders`: what people asked for goes on. */
  endTrials(reason: string, ofDeciders: boolean): void {
    for (const { model } of this.cells.all()) {
      if (ofDeciders && this.trials.candidate(model)?.version.source === 'user') continue;
      this.applier.endTrial(model, reason, this.#options.nowMs());
    }
  }

  /** The window that ended is judged, and the reflex learns from it. */
  windowEnded(snapshot: Snapshot): void {
    const nowMs = this.#options.nowMs();
    for (const model of snapshot.models) {
      this.applier.observe(model, nowMs);
      this.#reflexOf(model.model).windowEnded(model);
    }
    // The assumed SLA moves with what is measured, and the delay's bound with it.
    this.cells.rebound();
  }

  /** The reflex: to be called every few milliseconds while something waits. */
  look(queues: Iterable<Queue>): void {
    for (const { model, queueDepth, oldestWaitMs, lateSheds } of queues) {
      // Admission keeps a queue young by refusing what would end too late: that is as much a sign as an old queue.
      const isShedding = lateSheds > (this.#lateSheds.get(model) ?? 0);
      this.#lateSheds.set(model, lateSheds);
      const cell = queueDepth === 0 && !isShedding ? null : this.cells.find(model);
      // What a person put in force is theirs: the reflex corrects deciders.
      if (cell === null || cell.current.source === 'user') continue;
      const action = this.#reflexOf(model).look({
        settings: this.versionOf(model).settings,
        bounds: cell.bounds,
        slaP99Ms: this.#options.slaOf(model).p99Ms,
        oldestWaitMs,
        isShedding,
      });
      if (action.kind === 'none') continue;
      const { settings, reason } = action;
      this.propose({ model, settings, class: 'reflex', decider: 'reflex', reason, predicted: null, evidence: {} });
    }
  }

  explained(explanation: Explanation): void {
    const list = this.#explanations.get(explanation.model) ?? [];
    list.push(explanation);
    if (list.length > EXPLANATIONS_MAX) list.shift();
    this.#explanations.set(explanation.model, list);
  }

  /** Newest first. */
  explanations(model: string, limit: number): Explanation[] {
    return (this.#explanations.get(model) ?? []).slice(-limit).toReversed();
  }

  #reflexOf(model: string): Reflex {
    const known = this.#reflexes.get(model);
    if (known !== undefined) return known;
    const reflex = new Reflex();
    this.#reflexes.set(model, reflex);
    return reflex;
  }

  #classOf(model: string): { model: string; version: null; engine: string; gpu: string | null } {
    return { model, version: null, engine: this.#options.config.engine, gpu: this.#options.gpuName() };
  }

  #save(model: string): void {
    const standing = this.applier.standings().find((one) => one.model === model);
    if (standing === undefined) return;
    this.#saved.update(this.#classOf(model), standing, Date.now());
    this.#store.save(this.#saved.toValue());
  }
}

/** The first folder that can be written; the first of all when none can, so that the problem is said about it. */
export function chooseStateDir(candidates: readonly string[]): string {
  for (const dir of candidates) {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      accessSync(dir, constants.W_OK);
      return dir;
    } catch {
      continue;
    }
  }
  return candidates[0] ?? '.';
}
