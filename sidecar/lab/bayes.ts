// Bayesian optimisation as tuners ship it: thirty samples, then the best of them for good.
import { toBounds, toWeights } from '../../src/core/policy.ts';
import type { Decision } from '../../src/core/proposal.ts';
import { clampSettings, formatSettings, isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { toCandidates } from '../decide/candidates.ts';
import type { DecideContext, Decider } from '../decide/decider.ts';
import { hold, propose } from '../decide/decisions.ts';

const NAME = 'bayes';
/** "Near-optimal with 30 of 720 configurations": Wang et al., Morphling, SoCC 2021, whose budget this is. */
const SAMPLES = 30;
/** Fewer answers are no sample. */
const ANSWERS_MIN = 50;
/** Length scale of the kernel in octaves of batch and concurrency and in tenths of the SLA of delay. */
const LENGTH_SCALE = 2;
/** Standard deviation of the log objective of one window. */
const NOISE = 0.1;
/** A broken SLA costs as much as an objective this many times as large, and more the more it is broken. */
const BROKEN_FACTOR = 4;

interface Sample {
  readonly settings: Settings;
  readonly point: readonly number[];
  /** ln of the objective, penalised. */
  readonly value: number;
}

/**
 * A Gaussian process over (log2 batch, delay / SLA, log2 concurrency), k(x, y) = exp(-|x - y|^2 / 2 l^2), on the standardised
 * log objective of each window; the next sample is where expected improvement EI = s (z Phi(z) + phi(z)), z = (best - mu) / s, is
 * greatest (Jones, Schonlau, Welch 1998). It goes through the guard and the watch as every controller does, so what is
 * sampled is what they let through. One sample a setting: a setting kept for longer teaches nothing new.
 */
export class Bayes implements Decider {
  readonly name = NAME;
  readonly #samples = new Map<string, Sample>();

  decide(model: ModelSnapshot, { policy }: DecideContext): Decision {
    const { window, version, sla } = model;
    const current = version.settings;
    const slaMs = sla.p99Ms;
    if (slaMs === null) return hold(model, NAME, 'no SLA is known yet');
    if (window.latency === null || window.latency.count < ANSWERS_MIN) return hold(model, NAME, 'too few answers');
    const weights = toWeights(policy);
    const key = formatSettings(current);
    if (this.#samples.size < SAMPLES && !this.#samples.has(key)) {
      const busyPerGoodMs = (window.busyRatio * window.durationMs) / Math.max(1, window.latency.count);
      const broken = Math.max(window.latency.p99Ms / slaMs, window.errorRatio > policy.sla.errorRate ? 1.01 : 0);
      const objective = window.latency.p99Ms ** weights.performance * busyPerGoodMs ** weights.cost;
      const value = Math.log(objective) + (broken > 1 ? Math.log(BROKEN_FACTOR * broken) : 0);
      this.#samples.set(key, { settings: current, point: toPoint(current, slaMs), value });
    }
    const samples = [...this.#samples.values()];
    if (samples.length >= SAMPLES) {
      const best = samples.reduce((least, sample) => (sample.value < least.value ? sample : least));
      return isSameSettings(best.settings, current)
        ? hold(model, NAME, `the best of ${SAMPLES} samples is in force`)
        : propose(model, NAME, best.settings, `the best of ${SAMPLES} samples`, policy);
    }
    const bounds = toBounds(policy, sla);
    const next = toMostPromising(samples, toCandidates(current, bounds, slaMs), slaMs);
    if (next === null) return hold(model, NAME, 'nothing is left to sample');
    return propose(model, NAME, clampSettings(next, bounds), `sample ${samples.length + 1} of ${SAMPLES}`, policy);
  }

  reset(): void {
    this.#samples.clear();
  }
}

function toPoint({ batchSize, batchDelayMs, concurrency }: Settings, slaMs: number): readonly number[] {
  return [Math.log2(batchSize), (10 * batchDelayMs) / slaMs, Math.log2(concurrency)];
}

function toMostPromising(samples: readonly Sample[], candidates: readonly Settings[], slaMs: number): Settings | null {
  const known = new Set(samples.map(({ settings }) => formatSettings(settings)));
  const mean = samples.reduce((sum, sample) => sum + sample.value, 0) / samples.length;
  const spread = Math.sqrt(samples.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / samples.length) || 1;
  const values = samples.map(({ value }) => (value - mean) / spread);
  const noise = (NOISE / spread) ** 2;
  const lower = toCholesky(
    samples.map((a, i) => samples.map((b, j) => toKernel(a.point, b.point) + (i === j ? noise : 0))),
  );
  const weights = solveTransposed(lower, solveLower(lower, values));
  const best = Math.min(...values);
  let most: Settings | null = null;
  let mostImprovement = 0;
  for (const candidate of candidates) {
    if (known.has(formatSettings(candidate))) continue;
    const point = toPoint(candidate, slaMs);
    const kernel = samples.map((sample) => toKernel(point, sample.point));
    const mu = kernel.reduce((sum, k, index) => sum + k * weights[index]!, 0);
    const shrunk = solveLower(lower, kernel).reduce((sum, v) => sum + v * v, 0);
    const deviation = Math.sqrt(Math.max(1e-9, 1 - shrunk));
    const z = (best - mu) / deviation;
    const improvement = deviation * (z * toNormalShare(z) + Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI));
    if (improvement <= mostImprovement) continue;
    most = candidate;
    mostImprovement = improvement;
  }
  return most;
}

function toKernel(a: readonly number[], b: readonly number[]): number {
  const squared = a.reduce((sum, value, index) => sum + (value - b[index]!) ** 2, 0);
  return Math.exp(-squared / (2 * LENGTH_SCALE * LENGTH_SCALE));
}

/** Lower triangle of a positive definite matrix. */
function toCholesky(matrix: readonly (readonly number[])[]): readonly number[][] {
  const lower: number[][] = [];
  for (const [i, row] of matrix.entries()) {
    lower.push([]);
    for (let j = 0; j <= i; j++) {
      let sum = row[j]!;
      for (let k = 0; k < j; k++) sum -= lower[i]![k]! * lower[j]![k]!;
      lower[i]!.push(i === j ? Math.sqrt(Math.max(1e-12, sum)) : sum / lower[j]![j]!);
    }
  }
  return lower;
}

function solveLower(lower: readonly (readonly number[])[], right: readonly number[]): number[] {
  const solution: number[] = [];
  for (const [i, row] of lower.entries()) {
    let sum = right[i]!;
    for (let k = 0; k < i; k++) sum -= row[k]! * solution[k]!;
    solution.push(sum / row[i]!);
  }
  return solution;
}

function solveTransposed(lower: readonly (readonly number[])[], right: readonly number[]): number[] {
  const solution = [...right];
  for (let i = lower.length - 1; i >= 0; i--) {
    for (let k = i + 1; k < lower.length; k++) solution[i]! -= lower[k]![i]! * solution[k]!;
    solution[i]! /= lower[i]![i]!;
  }
  return solution;
}

/** P(normal < z); logistic approximation, good to 0.0002. */
function toNormalShare(z: number): number {
  return 1 / (1 + Math.exp(-(1.5976 * z + 0.070565 * z ** 3)));
}
