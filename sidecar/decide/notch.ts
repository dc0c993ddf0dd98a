// A notch: the largest change made in one go. Deciders aim by it, the guard cuts to it, the class of a change follows from it.
import type { Policy } from '../../src/core/policy.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';

/** What one notch is for one model now. */
export interface Reach {
  /** guard.maxStepRatio, > 1. */
  readonly ratio: number;
  /** Largest batch that left in the window, items; null when none did. */
  readonly seenBatchItems: number | null;
  /** Most calls in flight at once in the window; null when there were none. */
  readonly seenInflight: number | null;
  /** Null while no SLA is known. */
  readonly slaP99Ms: number | null;
}

/** From 0 a ratio leads nowhere: the first notch of delay is this share of the SLA (the grid of the oracles has 1/40 and 1/10). */
const FIRST_DELAY_RATIO = 0.1;
/** The same while no SLA is known, ms. */
const FIRST_DELAY_MS = 5;

export function toReach(model: ModelSnapshot, policy: Policy): Reach {
  let seenBatchItems: number | null = null;
  let seenInflight: number | null = null;
  for (const sample of model.samples) {
    seenBatchItems = Math.max(seenBatchItems ?? 0, sample.items);
    seenInflight = Math.max(seenInflight ?? 0, sample.inflight);
  }
  return { ratio: policy.guard.maxStepRatio, seenBatchItems, seenInflight, slaP99Ms: model.sla.p99Ms };
}

/**
 * `to`, cut so that no part moves more than a notch from `from`. A limit that nothing came near counts as where the
 * traffic was, not where the limit stood: cutting batch 64 to 8 changes nothing when no batch held more than 5.
 * Delay may always fall. Switches are not cut: a turned switch is a leap whatever else moves.
 */
export function cutToNotch(from: Settings, to: Settings, reach: Reach): Settings {
  return {
    ...to,
    batchSize: cutWhole(from.batchSize, to.batchSize, reach.seenBatchItems, reach.ratio),
    concurrency: cutWhole(from.concurrency, to.concurrency, reach.seenInflight, reach.ratio),
    batchDelayMs: Math.min(to.batchDelayMs, Math.max(from.batchDelayMs * reach.ratio, toFirstDelayMs(reach))),
  };
}

/** True when the change is at most one notch in every part and turns no switch. */
export function isWithinNotch(from: Settings, to: Settings, reach: Reach): boolean {
  const cut = cutToNotch(from, to, reach);
  const isUncut =
    cut.batchSize === to.batchSize && cut.concurrency === to.concurrency && cut.batchDelayMs === to.batchDelayMs;
  return isUncut && turnedSwitches(from, to).length === 0;
}

/** Names of the switches whose position differs; an absent one is off. */
export function turnedSwitches(from: Settings, to: Settings): readonly string[] {
  const names = new Set([...Object.keys(from.switches), ...Object.keys(to.switches)]);
  return [...names].filter((name) => (from.switches[name] ?? false) !== (to.switches[name] ?? false));
}

function toFirstDelayMs(reach: Reach): number {
  return reach.slaP99Ms === null ? FIRST_DELAY_MS : FIRST_DELAY_RATIO * reach.slaP99Ms;
}

function cutWhole(from: number, to: number, seen: number | null, ratio: number): number {
  const highest = Math.max(from + 1, Math.floor(from * ratio));
  const felt = seen === null ? from : Math.min(from, Math.max(1, seen));
  const lowest = Math.min(felt, Math.max(1, felt === 1 ? 1 : Math.min(felt - 1, Math.ceil(felt / ratio))));
  return Math.min(highest, Math.max(lowest, to));
}
