// Netflix's Gradient2 limit on calls in flight, with a fixed batch, freed of its known faults.
import type { Decision } from '../../src/core/proposal.ts';
import { toBounds } from '../../src/core/policy.ts';
import { clampSettings, isSameSettings } from '../../src/core/settings.ts';
import type { BatchSample, ModelSnapshot } from '../../src/core/snapshot.ts';
import type { DecideContext, Decider } from './decider.ts';
import { hold, propose } from './decisions.ts';

const NAME = 'gradient';
/** A call may take this many times its no-load time before the limit falls (Gradient2Limit rttTolerance). */
const TOLERANCE = 1.5;
const GRADIENT_MIN = 0.5;
const GRADIENT_MAX = 1;
/** Weight of the new limit (Gradient2Limit smoothing). */
const SMOOTHING = 0.2;
/** Calls in flight that may queue in the engine. Netflix: 4 of 20 requests; here a call is a batch, so one. */
const HEADROOM = 1;
/** A baseline falls at once to what is seen, and climbs by this share of the gap per window, and only from calls that ran alone. */
const CLIMB = 0.05;
const SAMPLES_MIN = 10;
const MODELS_MAX = 101;

interface Memory {
  /** Unrounded, so that small gradients add up. */
  limit: number;
  /** No-load time by size class (log2 of items), ms. */
  readonly baselineMs: Map<number, number>;
  generation: number;
}

/**
 * limit' = (1 - s) limit + s (gradient * limit + headroom),  gradient = clamp(tolerance * baseline / time, 0.5, 1)
 *
 * Faults of the original and what stands against each here:
 * - runs away at a steady gradient of 0.8, as the long-term average climbs to the slow times (concurrency-limits PR#134): the baseline
 *   learns only from calls that ran alone, so the fixed point headroom / (1 - gradient) holds
 * - drifts, or takes a sustained degradation for the new normal (concurrency-limits#88, envoy#38338): the same
 * - grows on an idle service: no growth while fewer than half the limit are in flight
 * - pins the limit to measure the baseline, which sheds load (envoy#8337): natural lulls are used, nothing is pinned
 * - batches of different size are not comparable: times are compared within a size class
 */
export class Gradient implements Decider {
  readonly name = NAME;
  readonly #models = new Map<string, Memory>();

  decide(model: ModelSnapshot, { policy }: DecideContext): Decision {
    const current = model.version.settings;
    const memory = this.#memoryOf(model, current.concurrency);
    if (model.samples.length < SAMPLES_MIN) return hold(model, NAME, 'too few calls to compare');
    learnBaseline(memory.baselineMs, model.samples);
    const gradient = toGradient(memory.baselineMs, model.samples);
    if (gradient === null) return hold(model, NAME, 'no call has run alone yet, so there is no baseline');
    const seenInflight = Math.max(...model.samples.map((sample) => sample.inflight));
    const wanted = (1 - SMOOTHING) * memory.limit + SMOOTHING * (gradient * memory.limit + HEADROOM);
    if (wanted > memory.limit && seenInflight < memory.limit / 2)
      return hold(model, NAME, `only ${seenInflight} of ${current.concurrency} places are used`);
    const [min, max] = policy.bounds.concurrency;
    memory.limit = Math.min(max, Math.max(min, wanted));
    const settings = clampSettings(
      { ...current, concurrency: Math.round(memory.limit), batchDelayMs: 0 },
      toBounds(policy, model.sla),
    );
    if (isSameSettings(settings, current)) return hold(model, NAME, `gradient ${gradient.toFixed(2)}, the limit stays`);
    return propose(model, NAME, settings, `gradient ${gradient.toFixed(2)} of the no-load time`, policy, null, {
      gradient,
    });
  }

  reset(model: string): void {
    this.#models.delete(model);
  }

  #memoryOf(model: ModelSnapshot, concurrency: number): Memory {
    let memory = this.#models.get(model.model);
    if (memory === undefined) {
      if (this.#models.size >= MODELS_MAX) this.#models.delete(this.#models.keys().next().value ?? '');
      memory = { limit: concurrency, baselineMs: new Map(), generation: -1 };
      this.#models.set(model.model, memory);
    }
    // Somebody else set it (a reflex, a person, a rollback): start from what is in force.
    if (memory.generation !== model.version.generation && Math.round(memory.limit) !== concurrency)
      memory.limit = concurrency;
    memory.generation = model.version.generation;
    return memory;
  }
}

function toSizeClass({ items }: BatchSample): number {
  return Math.round(2 * Math.log2(items));
}

function learnBaseline(baselineMs: Map<number, number>, samples: readonly BatchSample[]): void {
  const alone = Map.groupBy(
    samples.filter((sample) => sample.inflight === 1),
    toSizeClass,
  );
  for (const [size, calls] of alone) {
    // The median: alone at its start is not alone to its end.
    const seenMs = median(calls.map((call) => call.durationMs));
    const known = baselineMs.get(size);
    if (known === undefined || seenMs < known) baselineMs.set(size, seenMs);
    else baselineMs.set(size, known + CLIMB * (seenMs - known));
  }
}

/** Of calls whose size class has a baseline; the nearest class stands in for one that has none. Null without any. */
function toGradient(baselineMs: ReadonlyMap<number, number>, samples: readonly BatchSample[]): number | null {
  if (baselineMs.size === 0) return null;
  const ratios: number[] = [];
  for (const sample of samples) {
    const size = toSizeClass(sample);
    const nearest = [...baselineMs.keys()].reduce((best, key) =>
      Math.abs(key - size) < Math.abs(best - size) ? key : best,
    );
    // A smaller class would make every large batch look slow.
    if (Math.abs(nearest - size) > 2) continue;
    ratios.push(((baselineMs.get(nearest) ?? 0) * 2 ** ((size - nearest) / 2)) / sample.durationMs);
  }
  if (ratios.length < SAMPLES_MIN) return null;
  return Math.min(GRADIENT_MAX, Math.max(GRADIENT_MIN, TOLERANCE * median(ratios)));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
