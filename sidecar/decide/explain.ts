// Decisions in words: what `morphling explain` says, and the log line of every change.
import type { Decision, Explanation, Guarded, Prediction } from '../../src/core/proposal.ts';
import { formatSettings, type Settings } from '../../src/core/settings.ts';

/** One to four sentences, no markup: who wanted what and why, what is expected, the guard's word, what was done. */
export function toSentences(explanation: Explanation): readonly string[] {
  const { decision, guarded, model } = explanation;
  if (decision.kind === 'hold') return [`${decision.decider} leaves ${model} as it is: ${decision.reason}.`];
  const sentences = [toWish(decision)];
  if (decision.proposal.predicted !== null) sentences.push(toExpectation(decision.proposal.predicted));
  const word = guarded === null ? null : toGuardWord(guarded);
  if (word !== null) sentences.push(word);
  const settings = (guarded?.proposal ?? decision.proposal).settings;
  sentences.push(toEnd(explanation.result, settings));
  return sentences;
}

function toWish(decision: Extract<Decision, { kind: 'propose' }>): string {
  const { decider, model, settings, reason } = decision.proposal;
  return `${decider} wants ${formatSettings(settings)} (batch / delay / in flight) for ${model}, a ${decision.proposal.class}: ${reason}.`;
}

function toExpectation({ p99Ms, gpuSecondsPer1k }: Prediction): string {
  return `It expects a p99 of ${toShort(p99Ms)} ms and ${toShort(gpuSecondsPer1k)} device seconds per 1,000 answers.`;
}

function toGuardWord(guarded: Guarded): string | null {
  switch (guarded.kind) {
    case 'pass':
      return null;
    case 'changed':
      return `The guard changed it by rule ${guarded.rule}: ${guarded.reason}.`;
    case 'veto':
      return `The guard refused it by rule ${guarded.rule}: ${guarded.reason}.`;
    default:
      return guarded satisfies never;
  }
}

function toEnd(result: Explanation['result'], settings: Settings): string {
  switch (result) {
    case 'applied':
      return `${formatSettings(settings)} goes to trial or into force.`;
    case 'refused':
      return 'It could not be put in force; the old settings stand.';
    case 'vetoed':
      return 'Nothing changes.';
    case 'held':
      return 'The loop is paused, so nothing changes.';
    default:
      return result satisfies never;
  }
}

function toShort(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
