// The default rule: an affine curve fitted online, a closed-form forecast for every candidate, the best one a notch at a time.
import { toBounds, toWeights } from '../../src/core/policy.ts';
import type { Decision, Prediction } from '../../src/core/proposal.ts';
import { formatSettings, isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { findIneffective } from './actuator.ts';
import { toCandidates } from './candidates.ts';
import { type CurveBelief, CurveFit } from './curve-fit.ts';
import type { DecideContext, Decider } from './decider.ts';
import { hold, propose } from './decisions.ts';
import { forecast, type Load } from './forecast.ts';
import { LoadView } from './load-view.ts';
import { Measured } from './measured.ts';
import { cutToNotch, isWithinNotch, toReach } from './notch.ts';

const NAME = 'linear';
/** Forecasts must leave this share of the SLA, doubt included. */
const SLA_SHARE = 0.9;
/** Doubt in standard errors of the fit. */
const DOUBT_ERRORS = 2;
/** Load over capacity, doubt included, above which a setting counts as overloaded. */
const UTILIZATION_MAX = 0.96;
/** A change must promise this much of the objective; each recent change raises the bar by as much again. */
const GAIN_MIN = 0.08;
/** Or, at an equal objective, this much of the p99: cost mode does not wait for nothing. */
const P99_GAIN_MIN = 0.15;
const EQUAL_RATIO = 0.005;
const P99_TIE_EXPONENT = 0.02;
/** kappa assumed for what a change could win while no overlap has been seen: hopeful once, then measured. */
const HOPEFUL_INTERFERENCE = 0;
/** And for what it could break: near time slicing. A tight SLA then never lets it try, and c stays 1. */
const WARY_INTERFERENCE = 0.8;
/** So long a setting without effect is left out. */
const INEFFECTIVE_MS = 300_000;
/** A window's p99 counts as measured from so many answers. */
const ANSWERS_MIN = 50;
const MODELS_MAX = 101;

interface Memory {
  readonly fit: CurveFit;
  readonly view: LoadView;
  readonly measured: Measured;
  noDelayUntilMs: number;
  concurrencyMax: { value: number; untilMs: number };
}

interface View {
  readonly belief: CurveBelief;
  readonly load: Load;
  readonly slaMs: number;
}

/** One candidate weighed: what is expected, and whether it may be chosen. */
interface Weighed {
  readonly settings: Settings;
  readonly p99Ms: number;
  /** p99 with the doubt added. */
  readonly waryP99Ms: number;
  readonly busyRatio: number;
  readonly utilization: number;
  readonly objective: number;
  readonly isAdmissible: boolean;
  /** 0..1: how far it rests on a measurement at this load. */
  readonly trust: number;
}

/**
 * BentoML's rule (a * n + b fitted online) made for several batches in flight, delays and modes. A decision:
 * fit -> forecast every candidate of the grid -> leave out what breaks the SLA with doubt -> the least objective
 * p99^w_perf * busy seconds^w_cost -> at most one notch toward it. What has been measured at this load replaces its forecast.
 */
export class Linear implements Decider {
  readonly name = NAME;
  readonly #models = new Map<string, Memory>();

  decide(model: ModelSnapshot, context: DecideContext): Decision {
    const memory = this.#memoryOf(model.model);
    const { resets } = memory.fit;
    memory.fit.observe(model.samples);
    if (memory.fit.resets > resets) memory.measured.forget();
    const load = memory.view.observe(model);
    const belief = memory.fit.belief();
    if (load === null || belief === null) return hold(model, NAME, 'too little traffic to fit a curve');
    const slaMs = model.sla.p99Ms ?? 3 * belief.latencyMs(1) * belief.residualP99;
    this.#learn(memory, model, context.nowMs, belief, load);
    const lonely = findIneffective(model).find(({ setting, kind }) => setting === 'batchDelayMs' && kind === 'blocked');
    // A forecast believes in company; where none boards, whatever the reason, waiting is only latency.
    if (lonely !== undefined)
      return propose(model, NAME, { ...model.version.settings, batchDelayMs: 0 }, lonely.sentence, context.policy);
    return this.#choose(memory, model, context, { belief, load, slaMs });
  }

  settled(model: string, settings: Settings, wasRolledBack: boolean): void {
    if (wasRolledBack) this.#memoryOf(model).measured.spoil(settings);
  }

  reset(model: string): void {
    this.#models.delete(model);
  }

  /** What the window says about the settings in force, and about settings that do nothing. */
  #learn(memory: Memory, model: ModelSnapshot, nowMs: number, belief: CurveBelief, load: Load): void {
    memory.measured.observe(model, (settings) => forecast(belief, settings, load));
    for (const finding of findIneffective(model)) {
      if (finding.kind !== 'blocked') continue;
      if (finding.setting === 'batchDelayMs') memory.noDelayUntilMs = nowMs + INEFFECTIVE_MS;
      if (finding.setting === 'concurrency') {
        const value = Math.max(1, ...model.samples.map((sample) => sample.inflight));
        memory.concurrencyMax = { value, untilMs: nowMs + INEFFECTIVE_MS };
      }
    }
  }

  #choose(memory: Memory, model: ModelSnapshot, context: DecideContext, view: View): Decision {
    const { policy } = context;
    const current = model.version.settings;
    const reach = toReach(model, policy);
    const weigh = (settings: Settings): Weighed =>
      toWeighed(settings, memory.measured, view, toWeights(policy), current);
    const usable = toCandidates(current, toBounds(policy, model.sla), view.slaMs).filter(
      (settings) =>
        (settings.batchDelayMs === 0 || context.nowMs >= memory.noDelayUntilMs) &&
        (settings.concurrency <= memory.concurrencyMax.value || context.nowMs >= memory.concurrencyMax.untilMs) &&
        !memory.measured.isSpoiled(settings, view.load.itemsPerMs),
    );
    const here = weigh(current);
    const weighed = usable.map(weigh);
    const admissible = weighed.filter((candidate) => candidate.isAdmissible);
    const { latency } = model.window;
    // What is measured settles it; a forecast alone breaks nothing that works.
    const isLosing = model.window.errorRatio > policy.sla.errorRate;
    const isLate = latency !== null && latency.count >= ANSWERS_MIN ? latency.p99Ms > view.slaMs : !here.isAdmissible;
    const isBroken = isLate || isLosing;
    const hereRelief = isLosing ? Infinity : toRelief(here);
    // Out of a breach the known way is the best one, and it need not be walked by notches: the guard trusts what has held.
    const known = isBroken
      ? admissible.filter((candidate) => candidate.trust > 0 && !isSameSettings(candidate.settings, current))
      : [];
    const target = least(known, toRank) ?? least(admissible, toRank) ?? least(weighed, toRelief);

    const unrest = 1 + memory.measured.unrest;
    const isWorth = (candidate: Weighed): boolean => {
      if (isSameSettings(candidate.settings, current)) return false;
      if (isBroken) return toRelief(candidate) < hereRelief || (candidate.isAdmissible && !here.isAdmissible);
      const gain = 1 - candidate.objective / here.objective;
      const isQuicker = gain > -EQUAL_RATIO && candidate.p99Ms * (1 + P99_GAIN_MIN * unrest) < here.p99Ms;
      return candidate.isAdmissible && (isQuicker || here.objective > candidate.objective * (1 + GAIN_MIN * unrest));
    };
    if (target === null || !isWorth(target))
      return hold(
        model,
        NAME,
        `no setting promises ${(100 * GAIN_MIN * unrest).toFixed(0)} % more than ${formatSettings(current)}`,
      );

    // The notch toward the target if it is sound, else the best sound one within a notch.
    const toward = known.includes(target) ? target : weigh(cutToNotch(current, target.settings, reach));
    const isSound = (candidate: Weighed): boolean =>
      !memory.measured.isSpoiled(candidate.settings, view.load.itemsPerMs) &&
      (candidate.isAdmissible || (isBroken && toRelief(candidate) <= hereRelief));
    const near = weighed.filter((candidate) => isWithinNotch(current, candidate.settings, reach) && isWorth(candidate));
    const choice =
      isSound(toward) && !isSameSettings(toward.settings, current) ? toward : least(near, isBroken ? toRelief : toRank);
    if (choice === null)
      return hold(
        model,
        NAME,
        `the way to ${formatSettings(target.settings)} leads through settings that break the SLA`,
      );

    // Where even the best is overloaded there is no p99 to predict: the queue grows until requests are shed.
    const predicted: Prediction | null = Number.isFinite(choice.p99Ms)
      ? { p99Ms: choice.p99Ms, gpuSecondsPer1k: toSecondsPer1k(choice, view.load) }
      : null;
    const reason = isBroken
      ? `p99 is or would be over the SLA of ${view.slaMs.toFixed(1)} ms, on the way to ${formatSettings(target.settings)}`
      : `on the way to ${formatSettings(target.settings)}, ${((1 - target.objective / here.objective) * 100).toFixed(0)} % better by forecast`;
    return propose(model, NAME, choice.settings, reason, policy, predicted, {
      ratePerS: view.load.itemsPerMs * 1000,
      interceptMs: view.belief.interceptMs,
      slopeMs: view.belief.slopeMs,
      interference: view.belief.interference,
      isInterferenceSeen: view.belief.isInterferenceSeen ? 'yes' : 'no',
      bias: memory.measured.bias,
      target: formatSettings(target.settings),
      busyRatio: context.deviceBusyRatio,
      deviceSource: context.deviceSource,
    });
  }

  #memoryOf(model: string): Memory {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size >= MODELS_MAX) this.#models.delete(this.#models.keys().next().value ?? '');
    const memory: Memory = {
      fit: new CurveFit(),
      view: new LoadView(),
      measured: new Measured(),
      noDelayUntilMs: -Infinity,
      concurrencyMax: { value: Infinity, untilMs: -Infinity },
    };
    this.#models.set(model, memory);
    return memory;
  }
}

function toWeighed(
  settings: Settings,
  measured: Measured,
  { belief, load, slaMs }: View,
  weights: { readonly performance: number; readonly cost: number },
  current: Settings,
): Weighed {
  const isGuess =
    !belief.isInterferenceSeen && settings.concurrency > 1 && settings.concurrency !== current.concurrency;
  const hoped = forecast(isGuess ? { ...belief, interference: HOPEFUL_INTERFERENCE } : belief, settings, load);
  const feared = isGuess ? forecast({ ...belief, interference: WARY_INTERFERENCE }, settings, load) : hoped;
  const doubt = 1 + DOUBT_ERRORS * belief.errorRatio(Math.min(settings.batchSize, 2 * feared.meanBatchItems));
  const known = measured.recall(settings, load.itemsPerMs);
  const trust = known?.trust ?? 0;
  const blend = (expected: number, recalled: number | undefined): number =>
    recalled === undefined || !Number.isFinite(expected)
      ? (recalled ?? expected)
      : expected ** (1 - trust) * recalled ** trust;
  const p99Ms = blend(hoped.p99Ms * measured.bias, known?.p99Ms);
  const waryP99Ms = blend(feared.p99Ms * measured.bias * doubt, known?.p99Ms);
  const busyRatio = Math.min(
    1,
    blend(hoped.busyRatio, known === null ? undefined : known.busyPerItemMs * load.itemsPerMs),
  );
  const objective = p99Ms ** weights.performance * (busyRatio / load.itemsPerMs) ** weights.cost;
  return {
    settings,
    p99Ms,
    waryP99Ms,
    busyRatio,
    utilization: feared.utilization,
    objective,
    trust,
    isAdmissible:
      waryP99Ms <= SLA_SHARE * slaMs && feared.utilization * (1 + (doubt - 1) * (1 - trust)) <= UTILIZATION_MAX,
  };
}

function toRank(candidate: Weighed): number {
  return candidate.objective * candidate.p99Ms ** P99_TIE_EXPONENT;
}

/** While nothing is admissible there is little to lose, so hope counts and not fear: the least p99, and where all are overloaded the most room. */
function toRelief(candidate: Weighed): number {
  return Number.isFinite(candidate.p99Ms) ? candidate.p99Ms : 1e9 * candidate.utilization;
}

function toSecondsPer1k({ busyRatio }: Weighed, { itemsPerMs, itemsPerRequest }: Load): number {
  return busyRatio / (itemsPerMs / itemsPerRequest);
}

function least(candidates: readonly Weighed[], toValue: (candidate: Weighed) => number): Weighed | null {
  let best: Weighed | null = null;
  let bestValue = Infinity;
  for (const candidate of candidates) {
    const value = toValue(candidate);
    if (value >= bestValue) continue;
    best = candidate;
    bestValue = value;
  }
  return best;
}
