// The planner: fits the engine and its interference online, replays recent arrivals through candidate settings, moves a notch.
import { toBounds, toWeights } from '../../src/core/policy.ts';
import type { Decision, Prediction } from '../../src/core/proposal.ts';
import { formatSettings, isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { EngineFit, type EngineBelief } from '../../src/model/engine-fit.ts';
import { toCandidates } from './candidates.ts';
import type { DecideContext, Decider } from './decider.ts';
import { hold, propose } from './decisions.ts';
import { EvidenceJoiner } from './evidence.ts';
import { cutToNotch, isWithinNotch, toReach } from './notch.ts';
import { PlannerArrivals, type PlannedTraffic } from './planner-arrivals.ts';
import { type Outlook, PlannerSearch, ROUND_ARRIVALS, toUtilization } from './planner-search.ts';

const NAME = 'planner';
/** The p99 that is expected, doubt included, must leave this share of the SLA. */
const SLA_SHARE = 0.92;
/** A change must promise this much of the objective. */
const GAIN_MIN = 0.04;
/** Measured / replayed p99: how fast it is learnt and how far it is believed. */
const BIAS_STEP = 0.3;
const BIAS_RANGE: readonly [number, number] = [0.75, 1.6];
/** A measured p99 weighs as much as a replayed one from so many answers on. */
const HALF_TRUST_ANSWERS = 900;
/** Standard deviation of kappa above which an overlap counts as unseen: hoped for when it is weighed, feared when it is checked. */
const UNSEEN_DEVIATION = 0.2;
const HOPE_DEVIATIONS = -0.5;
const FEAR_DEVIATIONS = 0.7;
const MODELS_MAX = 101;
const ARRIVALS = ROUND_ARRIVALS.at(-1)!;

interface Memory {
  readonly fit: EngineFit;
  readonly arrivals: PlannerArrivals;
  readonly joiner: EvidenceJoiner;
  logBias: number;
  shifts: number;
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
    memory.fit.observe(model.samples, model.inflight, nowMs);
    const traffic = memory.arrivals.plan(model, nowMs, policy.decideIntervalS * 1000, ARRIVALS);
    const belief = memory.fit.belief();
    if (traffic === null || belief === null) return hold(model, NAME, 'too little traffic to fit an engine');
    const slaMs = model.sla.p99Ms ?? 3 * belief.model.latencyMs[1]! * (1 + 2.3 * belief.noiseRatio);
    return new Plan(this.#search, memory, model, context, belief, traffic, slaMs).decide();
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
    this.#isUnseen = belief.interferenceDeviation > UNSEEN_DEVIATION;
  }

  decide(): Decision {
    const model = this.#model;
    const { policy } = this.#context;
    const current = model.version.settings;
    const here = this.#weighHere(current);
    const engine = this.#isUnseen ? this.#belief.withInterference(HOPE_DEVIATIONS) : this.#belief.model;
    const candidates = toCandidates(current, toBounds(policy, model.sla), this.#slaMs);
    const outlooks = this.#search.best(candidates, engine, this.#belief.noiseRatio, this.#traffic, (outlook) =>
      this.#toValue(outlook),
    );
    const weighed = outlooks.map((outlook) => this.#weigh(outlook));
    const target = weighed.find((one) => one.isSafe) ?? weighed[0];
    if (target === undefined)
      return hold(model, NAME, "no setting can hold this load, the roomiest proven one is the reflex's to choose");
    const gain = 1 - target.objective / here.objective;
    const isBroken = here.p99Ms > this.#slaMs;
    if (isSameSettings(target.settings, current) || (!isBroken && gain < GAIN_MIN))
      return hold(model, NAME, `no setting promises ${100 * GAIN_MIN} % more than ${formatSettings(current)}`);

    const reach = toReach(model, policy);
    const toward = this.#weigh(this.#outlook(cutToNotch(current, target.settings, reach)));
    const isSound = (one: Weighed): boolean => (isBroken ? one.p99Ms < here.p99Ms : one.isSafe);
    const near = weighed.find(
      (one) =>
        isWithinNotch(current, one.settings, reach) &&
        !isSameSettings(one.settings, current) &&
        isSound(one) &&
        (isBroken || one.objective < here.objective * (1 - GAIN_MIN)),
    );
    const choice = isSound(toward) && !isSameSettings(toward.settings, current) ? toward : near;
    if (choice === undefined)
      return hold(
        model,
        NAME,
        `the way to ${formatSettings(target.settings)} leads through settings that break the SLA`,
      );
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

  #outlook(settings: Settings): Outlook {
    return this.#search.outlook(settings, this.#belief.model, this.#belief.noiseRatio, this.#traffic, ARRIVALS);
  }

  /** Ranks in the rounds: the objective, and far behind it whatever breaks the SLA, by how far. */
  #toValue({ p99Ms, busyPerRequestMs }: Outlook): number {
    const expectedMs = p99Ms * Math.exp(this.#memory.logBias);
    const over = expectedMs / (SLA_SHARE * this.#slaMs);
    return over > 1 ? 1e9 * over : this.#toObjective(expectedMs, busyPerRequestMs);
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
        ).p99Ms
      : p99Ms;
    const waryMs = fearedMs * (1 + this.#belief.errorRatio(Math.max(1, Math.round(meanBatchItems))));
    return {
      settings,
      p99Ms,
      busyPerRequestMs,
      objective: this.#toObjective(p99Ms, busyPerRequestMs),
      isSafe: waryMs <= SLA_SHARE * this.#slaMs,
    };
  }

  #toObjective(p99Ms: number, busyPerRequestMs: number): number {
    return p99Ms ** this.#weights.performance * busyPerRequestMs ** this.#weights.cost;
  }
}
