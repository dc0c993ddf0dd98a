// The settings side of the data process: cells, their one writer, what is remembered on disk, and the reflex.
import { accessSync, constants, mkdirSync } from 'node:fs';
import type { AgentConfig } from '../../src/core/agent-config.ts';
import type { HistoryEntry } from '../../src/core/history.ts';
import type { Logger } from '../../src/core/log.ts';
import { type Policy, type SlaTarget, toBounds } from '../../src/core/policy.ts';
import type { Explanation, Proposal } from '../../src/core/proposal.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Snapshot, WindowStats } from '../../src/core/snapshot.ts';
import { type Applied, Applier } from '../act/apply.ts';
import { Cells } from '../act/cells.ts';
import { HistoryLog } from '../act/history.ts';
import { SavedSettings } from '../act/saved.ts';
import { StateStore } from '../act/state.ts';
import { Reflex } from '../decide/reflex.ts';

export interface TuningOptions {
  readonly config: AgentConfig;
  readonly log: Logger;
  readonly stateDir: string;
  readonly nowMs: () => number;
  readonly slaOf: (model: string) => SlaTarget;
  /** The model's last closed window; null before the first. */
  readonly windowOf: (model: string) => WindowStats | null;
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
}

const EXPLANATIONS_MAX = 100;

export class Tuning {
  readonly cells: Cells;
  readonly applier: Applier;
  readonly history: HistoryLog;
  readonly #options: TuningOptions;
  readonly #saved = new SavedSettings();
  readonly #store: StateStore;
  readonly #reflexes = new Map<string, Reflex>();
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
    this.applier = new Applier({ cells: this.cells, policy: () => this.#policy, wallMs: () => Date.now() });
    this.applier.subscribe((entry, cause) => {
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
    for (const { model, queueDepth, oldestWaitMs } of queues) {
      const cell = queueDepth === 0 ? null : this.cells.find(model);
      // What a person put in force is theirs: the reflex corrects deciders.
      if (cell === null || cell.current.source === 'user') continue;
      const action = this.#reflexOf(model).look({
        settings: cell.current.settings,
        bounds: cell.bounds,
        slaP99Ms: this.#options.slaOf(model).p99Ms,
        oldestWaitMs,
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
