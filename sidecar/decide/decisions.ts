// How deciders answer: the two kinds of decision, built in one place so that each names its class and its evidence.
import type { Policy } from '../../src/core/policy.ts';
import type { Decision, Prediction, Proposal } from '../../src/core/proposal.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { classifyChange } from './classify-change.ts';
import { toReach } from './notch.ts';

export function hold(model: ModelSnapshot, decider: string, reason: string): Decision {
  return { kind: 'hold', model: model.model, decider, reason };
}

/** A proposal whose class follows from the change itself. Without a prediction the change is never more than a trial's guess. */
export function propose(
  model: ModelSnapshot,
  decider: string,
  settings: Settings,
  reason: string,
  policy: Policy,
  predicted: Prediction | null = null,
  evidence: Proposal['evidence'] = {},
): Decision {
  const changeClass = classifyChange({
    from: model.version.settings,
    to: settings,
    reach: toReach(model, policy),
    isLoadJump: false,
    isProven: false,
    predictedP99Ms: predicted?.p99Ms ?? null,
    slaP99Ms: model.sla.p99Ms,
  });
  return {
    kind: 'propose',
    proposal: { model: model.model, settings, class: changeClass, decider, reason, predicted, evidence },
  };
}
