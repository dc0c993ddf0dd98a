// The guard: what stands between a decision and the settings. It knows no model; it bounds what a wrong one can do.
import type { Policy } from '../../src/core/policy.ts';
import { toBounds } from '../../src/core/policy.ts';
import type { Guarded, Proposal } from '../../src/core/proposal.ts';
import { clampSettings, formatSettings, isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot, Snapshot } from '../../src/core/snapshot.ts';
import { isStale } from './context.ts';
import { toJumpedRate } from './load-view.ts';
import { cutToNotch, toReach } from './notch.ts';
import { Proven } from './proven.ts';

/** In the order in which they are asked; the word is the `rule` of the answer. */
export type GuardRule = 'stale-telemetry' | 'bounds' | 'max-step' | 'no-change' | 'barred' | 'cooldown' | 'slo';

interface Bar {
  untilMs: number;
  /** Times it was barred; each doubles the next bar. */
  count: number;
}

interface Memory {
  readonly proven: Proven;
  readonly bars: Map<string, Bar>;
  changedMs: number;
  /** The decider's last change, while it is young enough that the reflex's flight from it tells on it. */
  young: { readonly settings: Settings; readonly atMs: number } | null;
}

/** Doubling stops here: a day is as good as for ever, and a year would overflow nothing but patience. */
const BAR_MAX_MS = 24 * 3_600_000;
/** Windows in which the reflex's flight from a change convicts the change. */
const YOUNG_WINDOWS = 3;
const BARS_MAX = 64;
const MODELS_MAX = 101;

/**
 * Rules, each on its own:
 * - stale-telemetry: the device reading the decision was made on (evidence `deviceSource`) is older than three intervals: frozen
 * - bounds: the policy's bounds hold
 * - max-step: no part moves more than a notch, but for settings proven at this load, which may be gone back to in one go
 * - no-change: nothing is left of the change
 * - barred: a rolled-back setting is out for barMinutes, doubling
 * - cooldown: cooldownWindows decision intervals lie between two changes, but for a way back to proven settings while the SLA is broken
 * - slo: the predicted p99, queueing included, is within the SLA, or below what is measured while the SLA is broken
 */
export class Guard {
  readonly #models = new Map<string, Memory>();

  /** Once per model and window, before `check`. Bars a young change that the reflex had to flee from, unless the load had jumped. */
  observe(model: ModelSnapshot, nowMs: number, policy: Policy): void {
    const memory = this.#memoryOf(model.model);
    memory.proven.observe(model);
    const { young } = memory;
    if (young === null) return;
    const isFled = model.version.source === 'reflex' && !isSameSettings(model.version.settings, young.settings);
    if (isFled && toJumpedRate(model) === null)
      this.rolledBack(model.model, young.settings, model.window.ratePerS, nowMs, policy);
    const isOld = nowMs - young.atMs > YOUNG_WINDOWS * policy.decideIntervalS * 1000;
    if (isFled || isOld) memory.young = null;
  }

  check(proposal: Proposal, model: ModelSnapshot, snapshot: Snapshot, policy: Policy): Guarded {
    const memory = this.#memoryOf(model.model);
    const nowMs = snapshot.atMs;
    const current = model.version.settings;
    const veto = (rule: GuardRule, reason: string): Guarded => ({ kind: 'veto', proposal, rule, reason });
    const cuts: { rule: GuardRule; reason: string }[] = [];
    const cutTo = (rule: GuardRule, settings: Settings, reason: string): Settings => {
      if (!isSameSettings(settings, wanted)) cuts.push({ rule, reason: `${reason}: ${formatSettings(settings)}` });
      return settings;
    };

    const slaMs = model.sla.p99Ms;
    const measuredMs = model.window.latency?.p99Ms ?? null;
    const source = proposal.evidence['deviceSource'];
    if (typeof source === 'string' && isStale(snapshot, source, policy))
      return veto('stale-telemetry', `${source} has no reading younger than three sampling intervals`);

    let wanted = proposal.settings;
    wanted = cutTo('bounds', clampSettings(wanted, toBounds(policy, model.sla)), 'outside the policy, cut to');
    const isProven = memory.proven.isProven(wanted, model.window.ratePerS);
    if (!isProven && proposal.class !== 'reflex')
      wanted = cutTo('max-step', cutToNotch(current, wanted, toReach(model, policy)), 'more than a notch, cut to');
    if (isSameSettings(wanted, current)) return veto('no-change', 'nothing is left of the change');

    const bar = memory.bars.get(formatSettings(wanted));
    if (bar !== undefined && bar.untilMs > nowMs)
      return veto('barred', `rolled back before, barred for ${Math.ceil((bar.untilMs - nowMs) / 60_000)} min more`);

    const waitMs = memory.changedMs + policy.guard.cooldownWindows * policy.decideIntervalS * 1000 - nowMs;
    // Half a second of grace: windows end when a timer fires, and a cool-down of two windows is not three.
    const isFlight = isProven && slaMs !== null && measuredMs !== null && measuredMs > slaMs;
    if (proposal.class !== 'reflex' && !isFlight && waitMs > 500)
      return veto('cooldown', `the last change is too young, ${(waitMs / 1000).toFixed(0)} s to wait`);

    const expectedMs = proposal.predicted?.p99Ms ?? null;
    const isRescue = slaMs !== null && measuredMs !== null && measuredMs > slaMs && (expectedMs ?? 0) < measuredMs;
    if (slaMs !== null && expectedMs !== null && expectedMs > slaMs && !isRescue)
      return veto('slo', `a p99 of ${expectedMs.toFixed(1)} ms is expected, ${slaMs.toFixed(1)} ms are allowed`);

    if (cuts.length === 0) return { kind: 'pass', proposal };
    return {
      kind: 'changed',
      proposal: { ...proposal, settings: wanted },
      rule: cuts.map((cut) => cut.rule).join('+'),
      reason: cuts.map((cut) => cut.reason).join('; '),
    };
  }

  /** A change is in force: the cool-down starts. */
  applied(model: string, settings: Settings, nowMs: number): void {
    const memory = this.#memoryOf(model);
    memory.changedMs = nowMs;
    memory.young = { settings, atMs: nowMs };
  }

  /** A change was rolled back: these settings are barred, each time twice as long. */
  rolledBack(model: string, settings: Settings, ratePerS: number, nowMs: number, policy: Policy): void {
    const memory = this.#memoryOf(model);
    const key = formatSettings(settings);
    const count = (memory.bars.get(key)?.count ?? 0) + 1;
    const lengthMs = Math.min(BAR_MAX_MS, policy.guard.barMinutes * 60_000 * 2 ** (count - 1));
    // Set anew at the end of the map, so that the eldest bar is the first to be forgotten.
    memory.bars.delete(key);
    memory.bars.set(key, { count, untilMs: nowMs + lengthMs });
    if (memory.bars.size > BARS_MAX) memory.bars.delete(memory.bars.keys().next().value ?? '');
    memory.proven.broke(settings, ratePerS);
    memory.changedMs = nowMs;
  }

  #memoryOf(model: string): Memory {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size >= MODELS_MAX) this.#models.delete(this.#models.keys().next().value ?? '');
    const memory: Memory = { proven: new Proven(), bars: new Map(), changedMs: -Infinity, young: null };
    this.#models.set(model, memory);
    return memory;
  }
}
