// The class of a change: how it must be tried before it is in force.
import type { ChangeClass } from '../../src/core/proposal.ts';
import type { Settings } from '../../src/core/settings.ts';
import { isWithinNotch, type Reach, turnedSwitches } from './notch.ts';

export interface Change {
  readonly from: Settings;
  readonly to: Settings;
  readonly reach: Reach;
  /** The load jumped: the queue is too old, or the change-point test fired. */
  readonly isLoadJump: boolean;
  /** `to` has served a whole window within the SLA at this load or more. */
  readonly isProven: boolean;
  /** Null when the decider does not predict. */
  readonly predictedP99Ms: number | null;
  readonly slaP99Ms: number | null;
  /** A person asked for it through the control port. */
  readonly isUserPut?: boolean;
}

/**
 * reflex: a load jump, and only toward a proven state or to less delay; in force at once, watched.
 * step: at most one notch, and a predicted p99 within the SLA; one trial stage, then watched.
 * leap: everything else (more than a notch, a switch, a person's PUT, no prediction into the unseen); all stages.
 */
export function classifyChange(change: Change): ChangeClass {
  const { from, to } = change;
  const hasSwitch = turnedSwitches(from, to).length > 0;
  if (change.isUserPut === true || hasSwitch) return 'leap';
  if (change.isLoadJump && (change.isProven || isOnlyLessDelay(from, to))) return 'reflex';
  if (!isWithinNotch(from, to, change.reach)) return 'leap';
  // Where batches get no larger, no more run at once and none waits longer, the traffic has been there before.
  const isUnseen =
    to.batchSize > from.batchSize || to.concurrency > from.concurrency || to.batchDelayMs > from.batchDelayMs;
  if (change.predictedP99Ms === null) return isUnseen && !change.isProven ? 'leap' : 'step';
  return change.slaP99Ms === null || change.predictedP99Ms <= change.slaP99Ms ? 'step' : 'leap';
}

/** Nothing but the delay moves, and it falls. */
function isOnlyLessDelay(from: Settings, to: Settings): boolean {
  return (
    to.batchDelayMs < from.batchDelayMs &&
    to.batchSize === from.batchSize &&
    to.concurrency === from.concurrency &&
    turnedSwitches(from, to).length === 0
  );
}
