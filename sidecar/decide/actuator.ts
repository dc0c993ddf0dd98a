// The actuator guard: a setting that does nothing is found and said, not left for the user to wonder about.
import type { ModelSnapshot } from '../../src/core/snapshot.ts';

export interface Finding {
  readonly setting: 'batchSize' | 'batchDelayMs' | 'concurrency';
  /**
   * blocked: there was demand, and the setting was still not reached, so something else holds it (the engine, a key that never matches);
   * unneeded: the load does not ask for it.
   */
  readonly kind: 'blocked' | 'unneeded';
  readonly sentence: string;
}

/** Fewer batches than this in a window say nothing. */
const BATCHES_MIN = 20;
/** A wait this share of the upstream time is demand: somebody would have used another place. */
const DEMAND_RATIO = 0.25;
/** Below so many requests a batch, waiting for company has brought none. */
const COMPANY_MIN = 1.2;

/** What of the settings in force had no effect in the last window; empty when all did, or when too little left to tell. */
export function findIneffective(model: ModelSnapshot): readonly Finding[] {
  const { window, samples } = model;
  const { settings } = model.version;
  if (window.batches < BATCHES_MIN || samples.length === 0) return [];
  const findings: Finding[] = [];
  const seenInflight = samples.reduce((most, sample) => Math.max(most, sample.inflight), 0);
  const seenItems = samples.reduce((most, sample) => Math.max(most, sample.items), 0);
  const queuedMs = (window.queue?.p90Ms ?? 0) - settings.batchDelayMs;
  const hasDemand = queuedMs > DEMAND_RATIO * (window.upstream?.p50Ms ?? Infinity);

  if (settings.concurrency > 1 && seenInflight < settings.concurrency)
    findings.push({
      setting: 'concurrency',
      kind: hasDemand ? 'blocked' : 'unneeded',
      sentence:
        `concurrency ${settings.concurrency} has no effect: never more than ${seenInflight} in flight` +
        (hasDemand ? ', although requests were waiting; something else holds them back' : ''),
    });
  if (settings.batchSize > 1 && seenItems <= 1 && hasDemand)
    findings.push({
      setting: 'batchSize',
      kind: 'blocked',
      sentence: `batch ${settings.batchSize} has no effect: requests waited and yet none shared a call; are they batchable, and their keys equal?`,
    });
  const timeouts = window.departures.timeout / window.batches;
  if (settings.batchDelayMs > 0 && timeouts > 0.5 && window.meanBatchRequests < COMPANY_MIN)
    findings.push({
      setting: 'batchDelayMs',
      kind: 'blocked',
      sentence: `waiting ${settings.batchDelayMs.toFixed(1)} ms brings no company: ${window.meanBatchRequests.toFixed(2)} requests a batch`,
    });
  return findings;
}
