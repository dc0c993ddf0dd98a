// The planner: fits the engine and its interference online, replays recent arrivals through candidate settings, moves a notch.
import { toBounds, toWeights } from '../../src/core/policy.ts';
import type { Decision, Prediction } from '../../src/core/proposal.ts';
import { formatSettings, isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { type EngineBelief, EngineFit } from '../../src/model/engine-fit.ts';
import type { EngineModel } from '../../src/model/engine-model.ts';
import { toCandidates } from './candidates.ts';
import type { DecideContext, Decider } from './decider.ts';
import { hold, propose } from './decisions.ts';
import { EvidenceJoiner } from './evidence.ts';
import { cutToNotch, isWithinNotch, toReach } from './notch.ts';
import { PlannerArrivals, type PlannedTraffic } from './planner-arrivals.ts';
import { type Outlook, PlannerSearch, ROUND_ARRIVALS, toUtilization } from './planner-search.ts';

const NAME = 'planner';
/** The p99 of an unlucky interval, doubt included, must leave this share of the SLA. */
const SLA_SHARE = 0.85;
/** A change must promise this much of the objective. */
const GAIN_MIN = 0.04;
/** Measured / replayed p99: how fast it is learnt and how far it is believed. */
const BIAS_STEP = 0.3;
const BIAS_RANGE: readonly [number, number] = [0.75, 1.6];
/** A measured p99 weighs as much as a replayed one from so many answers on. */
const HALF_TRUST_ANSWERS = 900;
/** Standard deviation of kappa above which an overlap counts as unseen: hoped for when it is weighed, feared when it is checked. */
const UNSEEN_DEVIATION = 0.2;
const HOPE_DEVIATIONS = -1;
const DESPERATE_DEVIATIONS = -1.5;
const FEAR_DEVIATIONS = 0.7;
/** A change this young is what the reflex fled from. */
const YOUNG_INTERVALS = 4;
const SPOILED_MAX = 64;
/** On the way to the target a notch may be no better than where it starts, but hardly worse. */
const DETOUR_RATIO = 1.01;
/** As the guard's: windows end when a timer fires. */
const COOLDOWN_GRACE_MS = 500;
const MODELS_MAX = 101;
const ARRIVALS = ROUND_ARRIVALS.at(-1)!;

interface Memory {
  readonly fit: EngineFit;
  readonly arrivals: PlannerArrivals;
  readonly joiner: EvidenceJoiner;
  logBias: number;
  shifts: number;
  /** Of the settings last seen, and when they came in force. */
  generation: number;
  changedMs: number;
  nowMs: number;
  /** The change last asked for, while it is young. */
  proposed: Settings | null;
  /** Settings that did not hold, and when that was seen. */
  readonly spoiled: Map<string, number>;
}

/**
 * A decision: fit curve and kappa (`src/model/engine-fit`), bring recent arrivals to the planned rate, replay them through
 * the grid (`planner-search`), keep what holds the SLA with doubt, take the least objective p99^w_perf * busy^w_cost, go at
 * most one notch toward it. Measured over replayed p99 of the setting in force corrects all replays by one factor.
 */
export class Planner implements Decider {
  readonly name = NAME;
  readonly #search = new PlannerSearch();
  readonly #models = new Map<string, Memory>();

  decide(model: ModelSnapshot, context: DecideContext): Decision {
    const { policy, nowMs } = context;
    const memory = this.#memoryOf(model.model);
    memory.nowMs = nowMs;
    if (nowMs - memory.changedMs > YOUNG_INTERVALS * policy.decideIntervalS * 1000) memory.proposed = null;
    memory.fit.observe(model.samples, model.inflight, nowMs);
    if (memory.generation > 0 && memory.generation !== model.version.generation && model.version.source === 'decider')
      // In force since the window began, or a little later: it was decided on the one before.
      memory.changedMs = nowMs - model.window.durationMs;
    memory.generation = model.version.generation;
    const traffic = memory.arrivals.plan(model, nowMs, policy.decideIntervalS * 1000, ARRIVALS);
    const belief = memory.fit.belief();
    if (traffic === null || belief === null) return hold(model, NAME, 'too little traffic to fit an engine');
    const slaMs = model.sla.p99Ms ?? 3 * belief.model.latencyMs[1]! * (1 + 2.3 * belief.noiseRatio);
    return new Plan(this.#search, memory, model, context, belief, traffic, slaMs).decide();
  }

  /** What was rolled back, or what the reflex fled from, is barred by the guard too: aiming at it would be waiting for nothing. */
  settled(model: string, settings: Settings, wasRolledBack: boolean): void {
    const memory = this.#memoryOf(model);
    const spoiled = wasRolledBack ? settings : memory.proposed;
    if (spoiled !== null) memory.spoiled.set(formatSettings(spoiled), memory.nowMs);
    memory.proposed = null;
    if (memory.spoiled.size > SPOILED_MAX) memory.spoiled.delete(memory.spoiled.keys().next().value ?? '');
  }

  reset(model: string): void {
    this.#models.delete(model);
  }

  #memoryOf(model: string): Memory {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size >= MODELS_MAX) this.#models.delete(this.#models.keys().next().value ?? '');
    const memory: Memory = {
      fit: new EngineFit(),
      arrivals: new PlannerArrivals(),
      joiner: new EvidenceJoiner(),
      logBias: 0,
      shifts: 0,
      generation: 0,
      changedMs: -Infinity,
      nowMs: 0,
      proposed: null,
      spoiled: new Map(),
    };
    this.#models.set(model, memory);
    return memory;
  }
}

/** A setting as it is weighed: what is hoped of it, and what is feared. */
interface Weighed {
  readonly settings: Settings;
  readonly p99Ms: number;
  readonly busyPerRequestMs: number;
  readonly objective: number;
  readonly isSafe: boolean;
}

/** One decision. */
class Plan {
  readonly #search: PlannerSearch;
  readonly #memory: Memory;
  readonly #model: ModelSnapshot;
  readonly #context: DecideContext;
  readonly #belief: EngineBelief;
  readonly #traffic: PlannedTraffic;
  readonly #slaMs: number;
  readonly #weights: { readonly performance: number; readonly cost: number };
  readonly #isUnseen: boolean;
  /** Of an expected p99. */
  readonly #boundMs: number;

  constructor(
    search: PlannerSearch,
    memory: Memory,
    model: ModelSnapshot,
    context: DecideContext,
    belief: EngineBelief,
    traffic: PlannedTraffic,
    slaMs: number,
  ) {
    this.#search = search;
    this.#memory = memory;
    this.#model = model;
    this.#context = context;
    this.#belief = belief;
    this.#traffic = traffic;
    this.#slaMs = slaMs;
    this.#weights = toWeights(context.policy);
    this.#boundMs = SLA_SHARE * slaMs;
    this.#isUnseen = belief.interferenceDeviation > UNSEEN_DEVIATION;
  }

  decide(): Decision {
    const model = this.#model;
    const { policy, nowMs } = this.#context;
    const current = model.version.settings;
    const here = this.#weighHere(current);
    const isBroken = here.p99Ms > this.#slaMs;
    const restMs = this.#memory.changedMs + policy.guard.cooldownWindows * policy.decideIntervalS * 1000 - nowMs;
    // The guard would refuse it; a burst's windows of a second would only ask again and again.
    if (!isBroken && restMs > COOLDOWN_GRACE_MS)
      return hold(model, NAME, `the last change is too young, ${(restMs / 1000).toFixed(0)} s to wait`);
    // An overlap that was never seen is hoped for: trying it is the only way to know. Where the SLA is broken there is nothing to lose by it.
    const hope = isBroken ? DESPERATE_DEVIATIONS : HOPE_DEVIATIONS;
    const engine = this.#isUnseen ? this.#belief.withInterference(hope) : this.#belief.model;
    const candidates = toCandidates(current, toBounds(policy, model.sla), this.#slaMs).filter(
      (settings) => !this.#isSpoiled(settings),
    );
    const weighed = this.#best(candidates, engine);
    const target = weighed.find((one) => one.isSafe) ?? weighed[0];
    if (target === undefined) return hold(model, NAME, 'no setting can hold this load');
    const gain = 1 - target.objective / here.objective;
    if (isSameSettings(target.settings, current) || (!isBroken && gain < GAIN_MIN))
      return hold(model, NAME, `no setting promises ${100 * GAIN_MIN} % more than ${formatSettings(current)}`);

    const reach = toReach(model, policy);
    const isSound = (one: Weighed, ratio: number): boolean =>
      !isSameSettings(one.settings, current) &&
      !this.#isSpoiled(one.settings) &&
      (isBroken ? one.p99Ms < here.p99Ms : one.isSafe && one.objective < here.objective * ratio);
    const toward = this.#weigh(this.#outlook(cutToNotch(current, target.settings, reach), engine));
    const choice = isSound(toward, DETOUR_RATIO)
      ? toward
      : this.#best(
          candidates.filter((settings) => isWithinNotch(current, settings, reach)),
          engine,
        ).find((one) => isSound(one, 1 - GAIN_MIN));
    if (choice === undefined)
      return hold(
        model,
        NAME,
        `the way to ${formatSettings(target.settings)} leads through settings that break the SLA`,
      );
    this.#memory.proposed = choice.settings;
    const predicted: Prediction = { p99Ms: choice.p99Ms, gpuSecondsPer1k: choice.busyPerRequestMs };
    const reason = isBroken
      ? `p99 is over the SLA of ${this.#slaMs.toFixed(1)} ms, on the way to ${formatSettings(target.settings)}`
      : `on the way to ${formatSettings(target.settings)}, ${(100 * gain).toFixed(0)} % better in replay`;
    return propose(model, NAME, choice.settings, reason, policy, predicted, {
      ratePerS: (1000 * this.#traffic.itemsPerMs) / this.#traffic.itemsPerRequest,
      latency1Ms: this.#belief.model.latencyMs[1]!,
      latency16Ms: this.#belief.model.latencyMs[16]!,
      interference: this.#belief.model.interference,
      interferenceDeviation: this.#belief.interferenceDeviation,
      bias: Math.exp(this.#memory.logBias),
      target: formatSettings(target.settings),
      busyRatio: this.#context.deviceBusyRatio,
      deviceSource: this.#context.deviceSource,
    });
  }

  /** The setting in force: its replay and its measurement, by trust. Teaches the bias. */
  #weighHere(current: Settings): Weighed {
    const outlook = this.#outlook(current);
    const evidence = this.#memory.joiner.observe(this.#model);
    if (this.#memory.fit.shifts > this.#memory.shifts) this.#memory.logBias = 0;
    this.#memory.shifts = this.#memory.fit.shifts;
    const isHolding = toUtilization(current, this.#belief.model, this.#traffic.itemsPerMs) < 1;
    if (evidence === null || !isHolding) return this.#weigh(outlook);
    const ratio = Math.min(BIAS_RANGE[1], Math.max(BIAS_RANGE[0], evidence.p99Ms / outlook.p99Ms));
    this.#memory.logBias += BIAS_STEP * (Math.log(ratio) - this.#memory.logBias);
    const weighed = this.#weigh(outlook);
    const trust = evidence.answers / (evidence.answers + HALF_TRUST_ANSWERS);
    const p99Ms = weighed.p99Ms ** (1 - trust) * evidence.p99Ms ** trust;
    return { ...weighed, p99Ms, objective: this.#toObjective(p99Ms, weighed.busyPerRequestMs) };
  }

  #isSpoiled(settings: Settings): boolean {
    const { nowMs, policy } = this.#context;
    const atMs = this.#memory.spoiled.get(formatSettings(settings));
    return atMs !== undefined && nowMs - atMs < policy.guard.barMinutes * 60_000;
  }

  #outlook(settings: Settings, engine: EngineModel = this.#belief.model): Outlook {
    return this.#search.outlook(settings, engine, this.#belief.noiseRatio, this.#traffic, ARRIVALS);
  }

  #best(candidates: readonly Settings[], engine: EngineModel): readonly Weighed[] {
    const { noiseRatio } = this.#belief;
    const outlooks = this.#search.best(candidates, engine, noiseRatio, this.#traffic, (outlook) =>
      this.#toValue(outlook),
    );
    return outlooks.map((outlook) => this.#weigh(outlook));
  }

  /** Ranks in the rounds: the objective, and far behind it whatever breaks the SLA, by how far. */
  #toValue({ p99Ms, unluckyP99Ms, busyPerRequestMs }: Outlook): number {
    const bias = Math.exp(this.#memory.logBias);
    const over = (unluckyP99Ms * bias) / this.#boundMs;
    return over > 1 ? 1e9 * over : this.#toObjective(p99Ms * bias, busyPerRequestMs);
  }

  #weigh(outlook: Outlook): Weighed {
    const { settings, busyPerRequestMs, meanBatchItems } = outlook;
    const bias = Math.exp(this.#memory.logBias);
    const p99Ms = outlook.p99Ms * bias;
    const isFeared = this.#isUnseen && settings.concurrency > this.#model.version.settings.concurrency;
    const fearedMs = isFeared
      ? bias *
        this.#search.outlook(
          settings,
          this.#belief.withInterference(FEAR_DEVIATIONS),
          this.#belief.noiseRatio,
          this.#traffic,
          ARRIVALS,
        ).unluckyP99Ms
      : outlook.unluckyP99Ms * bias;
    const waryMs = fearedMs * (1 + this.#belief.errorRatio(Math.max(1, Math.round(meanBatchItems))));
    return {
      settings,
      p99Ms,
      busyPerRequestMs,
      objective: this.#toObjective(p99Ms, busyPerRequestMs),
      isSafe: waryMs <= this.#boundMs,
    };
  }

  #toObjective(p99Ms: number, busyPerRequestMs: number): number {
    return p99Ms ** this.#weights.performance * busyPerRequestMs ** this.#weights.cost;
  }
}
