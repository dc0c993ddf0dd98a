// The whole agent in virtual time: windows -> reflex -> decider -> guard -> applier -> cell, as data and mind do it together.
import type { HistoryEntry } from '../../src/core/history.ts';
import { type Policy, toBounds } from '../../src/core/policy.ts';
import type { ChangeClass, Decision, Explanation, Prediction, Proposal } from '../../src/core/proposal.ts';
import type { Settings, SettingsVersion } from '../../src/core/settings.ts';
import type { ModelSnapshot, Snapshot, TelemetryReading, WindowStats } from '../../src/core/snapshot.ts';
import { Applier } from '../act/apply.ts';
import { Cells } from '../act/cells.ts';
import { toDecideContext } from '../decide/context.ts';
import type { Decider } from '../decide/decider.ts';
import { Guard } from '../decide/guard.ts';
import { Reflex } from '../decide/reflex.ts';
import type { Batch } from '../proxy/waiting.ts';
import { createSense, type Sense } from '../sense/sense.ts';
import type { Cell } from './cell.ts';
import type { RunTrace } from './score.ts';
import { type LabRequest, type LaneView, runWorld, type Watcher } from './world.ts';

export interface AgentRunOptions {
  readonly cell: Cell;
  readonly policy: Policy;
  readonly decider: Decider;
  /** In force at the start; absent: natural batching. */
  readonly start?: Settings;
  /** Every controller gets the reflex; false shows what it is worth. */
  readonly hasReflex?: boolean;
  /** Telemetry of the device as the mind would have it, given its busy clock; absent: none, decisions rest on inferred busy time. */
  readonly telemetry?: (nowMs: number, busyMs: number) => TelemetryReading | null;
  /** Every closed window with what was decided on it; the snapshot is not kept. */
  readonly onWindow?: (snapshot: Snapshot, explanation: Explanation) => void;
}

/** What became of a change in the end. */
export type ChangeVerdict = 'proven' | 'rolled_back' | 'superseded' | 'open';

/** A change that was put in force by the decider or the reflex. */
export interface Change {
  readonly atMs: number;
  readonly class: ChangeClass;
  readonly from: Settings;
  readonly to: Settings;
  readonly predicted: Prediction | null;
  /** By the watch, where it gave a verdict. */
  measured: Prediction | null;
  verdict: ChangeVerdict;
}

export interface AgentRun extends RunTrace {
  readonly changes: readonly Change[];
  /** What was in force from when on, the start included. */
  readonly settings: readonly { readonly atMs: number; readonly settings: Settings }[];
  readonly rollbacks: number;
  /** When decisions were made, holds included, ms. */
  readonly decidedMs: readonly number[];
  /** Proposals that the guard refused, by rule. */
  readonly vetoes: Readonly<Record<string, number>>;
}

const MODEL = 'lab';

export function runAgent(options: AgentRunOptions): AgentRun {
  const agent = new Agent(options);
  const trace = runWorld({
    cell: options.cell,
    version: () => agent.cellVersion,
    createWatcher: (lane, engine) => {
      agent.attach(lane, engine);
      return agent;
    },
  });
  return { ...trace, ...agent.report() };
}

class Agent implements Watcher {
  readonly #options: AgentRunOptions;
  readonly #cells: Cells;
  readonly #applier: Applier;
  readonly #sense: Sense;
  readonly #guard = new Guard();
  readonly #reflex = new Reflex();
  readonly #changes: Change[] = [];
  readonly #settings: { atMs: number; settings: Settings }[] = [];
  readonly #vetoes: Record<string, number> = {};
  readonly #decidedMs: number[] = [];
  #lane: LaneView | null = null;
  #engine: { readonly busyMs: number } | null = null;
  #lastWindow: WindowStats | null = null;
  #ratePerS = 0;
  #rollbacks = 0;
  #nowMs = 0;

  constructor(options: AgentRunOptions) {
    this.#options = options;
    const { policy } = options;
    const sla = { p99Ms: policy.sla.p99Ms ?? null, isAssumed: false };
    const { start } = options;
    this.#cells = new Cells({
      boundsOf: () => toBounds(policy, sla),
      restore: () => (start === undefined ? null : { settings: start, source: 'restored' }),
    });
    this.#applier = new Applier({ cells: this.#cells, policy: () => policy, wallMs: () => this.#nowMs });
    this.#applier.subscribe((entry) => this.#changed(entry));
    this.#settings.push({ atMs: 0, settings: this.cellVersion.settings });
    this.#sense = createSense({
      startMs: 0,
      policy: () => policy,
      version: () => this.cellVersion,
      load: (_, nowMs) => ({
        queueDepth: this.#lane?.queuedRequests ?? 0,
        oldestWaitMs: nowMs - (this.#lane?.oldestArrivedMs ?? nowMs),
        inflight: this.#lane?.inflight ?? 0,
      }),
      telemetry: () => options.telemetry?.(this.#nowMs, this.#engine?.busyMs ?? 0) ?? null,
    });
  }

  get cellVersion(): SettingsVersion {
    return this.#cells.get(MODEL).current;
  }

  attach(lane: LaneView, engine: { readonly busyMs: number }): void {
    this.#lane = lane;
    this.#engine = engine;
  }

  report(): Omit<AgentRun, keyof RunTrace> {
    return {
      changes: this.#changes,
      settings: this.#settings,
      rollbacks: this.#rollbacks,
      decidedMs: this.#decidedMs,
      vetoes: this.#vetoes,
    };
  }

  arrived(nowMs: number): void {
    this.#sense.arrived(MODEL, 1, 0, nowMs);
  }

  started(nowMs: number): void {
    this.#sense.batchStarted(MODEL, nowMs);
  }

  ended(
    { members, items, reason, startedMs, inflight, inflightAll, generation }: Batch<LabRequest>,
    endedMs: number,
  ): void {
    this.#sense.batchCompleted({
      model: MODEL,
      reason,
      ending: 'success',
      startedMs,
      durationMs: endedMs - startedMs,
      requests: members.length,
      items,
      inflight,
      inflightAll,
      generation,
    });
  }

  settled({ arrivedMs }: LabRequest, batch: Batch<LabRequest> | null, endedMs: number): void {
    const isServed = batch !== null;
    this.#sense.completed({
      model: MODEL,
      protocol: 'v2',
      code: isServed ? 200 : 503,
      outcome: isServed ? 'ok' : 'shed',
      ending: isServed ? 'success' : 'dropped',
      arrivedMs,
      endedMs,
      queueMs: (isServed ? batch.startedMs : endedMs) - arrivedMs,
      upstreamMs: isServed ? endedMs - batch.startedMs : null,
      firstByteMs: endedMs - arrivedMs,
      items: 1,
      requestBytes: 0,
      responseBytes: 0,
      generation: batch?.generation ?? this.cellVersion.generation,
    });
  }

  nextTickMs(): number {
    return this.#sense.nextTickMs();
  }

  /** The order of the agent: the window closes, the watch judges it, the reflex learns, then the mind decides on it. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    const snapshot = this.#sense.tick(nowMs);
    const model = snapshot?.models[0];
    if (snapshot === null || model === undefined) return;
    this.#lastWindow = model.window;
    this.#ratePerS = model.window.ratePerS;
    this.#applier.observe(model, nowMs);
    this.#reflex.windowEnded(model);
    this.#guard.observe(model, nowMs, this.#options.policy);
    const explanation = this.#decide(model, snapshot);
    this.#options.onWindow?.(snapshot, explanation);
  }

  look(nowMs: number): void {
    const oldestArrivedMs = this.#lane?.oldestArrivedMs ?? null;
    if (this.#options.hasReflex === false || oldestArrivedMs === null) return;
    this.#nowMs = nowMs;
    const { settings } = this.cellVersion;
    const { bounds } = this.#cells.get(MODEL);
    const slaP99Ms = this.#sense.sla(MODEL).p99Ms;
    const action = this.#reflex.look({ settings, bounds, slaP99Ms, oldestWaitMs: nowMs - oldestArrivedMs });
    if (action.kind === 'none') return;
    this.#put({
      model: MODEL,
      settings: action.settings,
      class: 'reflex',
      decider: 'reflex',
      reason: action.reason,
      predicted: null,
      evidence: {},
    });
  }

  #decide(model: ModelSnapshot, snapshot: Snapshot): Explanation {
    const { decider, policy } = this.#options;
    const decision = decider.decide(model, toDecideContext(model, snapshot, policy));
    this.#decidedMs.push(this.#nowMs);
    const at = new Date(this.#nowMs).toISOString();
    const explain = (guarded: Explanation['guarded'], result: Explanation['result']): Explanation => {
      return { at, model: MODEL, decision, guarded, result };
    };
    if (!isProposal(decision)) return explain(null, 'held');
    const guarded = this.#guard.check(decision.proposal, model, snapshot, policy);
    if (guarded.kind !== 'veto') return explain(guarded, this.#put(guarded.proposal) ? 'applied' : 'refused');
    this.#vetoes[guarded.rule] = (this.#vetoes[guarded.rule] ?? 0) + 1;
    return explain(guarded, 'vetoed');
  }

  /**
   * The seam of the trials. A `reflex` goes in force at once and is watched. So, until there are trials in virtual
   * time, do a `step` (one stage, then two windows under watch) and a `leap` (all stages).
   */
  #put(proposal: Proposal): boolean {
    switch (proposal.class) {
      case 'reflex':
      case 'step':
      case 'leap':
        return this.#applier.propose(proposal, this.#lastWindow, this.#nowMs).kind === 'applied';
      default:
        return proposal.class satisfies never;
    }
  }

  /** What the applier did, told to everybody whom the agent would tell. */
  #changed({ result, source, class: changeClass, from, to, predicted, measured }: HistoryEntry): void {
    const { policy, decider } = this.#options;
    const last = this.#changes.at(-1);
    if (result === 'proven' && last !== undefined) {
      last.verdict = 'proven';
      last.measured = measured;
    }
    if (result !== 'applied' && result !== 'rolled_back') return;
    this.#settings.push({ atMs: this.#nowMs, settings: to });
    if (result === 'rolled_back') {
      this.#rollbacks++;
      if (last !== undefined) {
        last.verdict = 'rolled_back';
        last.measured = measured;
      }
      this.#guard.rolledBack(MODEL, from, this.#ratePerS, this.#nowMs, policy);
      decider.settled?.(MODEL, from, true);
      return;
    }
    if (last?.verdict === 'open') last.verdict = 'superseded';
    this.#changes.push({ atMs: this.#nowMs, class: changeClass, from, to, predicted, measured: null, verdict: 'open' });
    if (source === 'decider') this.#guard.applied(MODEL, to, this.#nowMs);
    else decider.settled?.(MODEL, to, false);
  }
}

function isProposal(decision: Decision): decision is Extract<Decision, { kind: 'propose' }> {
  return decision.kind === 'propose';
}
