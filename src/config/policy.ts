// From whatever an operator sends to a whole, checked Policy.
import type { TSchema } from 'typebox';
import { type Issue, MorphlingError, formatIssue } from '../core/errors.ts';
import type { Policy } from '../core/policy.ts';
import { joinPath } from './check.ts';
import { describeValue } from './describe.ts';
import { freezeDeep } from './freeze.ts';
import { POLICY_FIELDS } from './policy-fields.ts';
import { type Flat, readTree, toDefaults, toFlat, toSchema, toTree } from './tree.ts';

/** A whole policy, as `GET /v1/policy` answers it. Built on demand: nothing is done at import time. */
export function toPolicySchema(): TSchema {
  return toSchema(POLICY_FIELDS, false);
}

/** What may be sent: any part of a policy. */
export function toPolicyPatchSchema(): TSchema {
  return toSchema(POLICY_FIELDS, true);
}

/**
 * The input laid over `base`: keys that are not given keep their value, `null` takes a key back to its default.
 * Throws BAD_CONFIG with every bad field; then `base` stands.
 */
export function parsePolicy(input: unknown, base: Policy): Policy {
  const { values, issues } = readTree(POLICY_FIELDS, input);
  const flat = withDefaults({ ...toFlat(POLICY_FIELDS, base), ...values });
  const all = issues.length > 0 ? issues : checkPolicy(flat);
  if (all.length > 0) {
    throw new MorphlingError('BAD_CONFIG', `policy: ${all.map(formatIssue).join('; ')}`, { issues: all });
  }
  return toPolicy(flat);
}

/** Faults between fields that are each well by themselves. `prefix` is put before each field's path. */
export function checkPolicy(flat: Flat, prefix = ''): Issue[] {
  const policy = toPolicy(flat);
  const issues: Issue[] = [];
  const refuse = (field: string, expected: string, got: unknown): void => {
    issues.push({ field: joinPath(prefix, field), expected, got: describeValue(got) });
  };
  for (const name of ['batchSize', 'batchDelayMs', 'concurrency'] as const) {
    const range = policy.bounds[name];
    if (range !== undefined && range[0] > range[1]) refuse(`bounds.${name}`, 'the smaller number first', range);
  }
  const { p99Ms } = policy.sla;
  const delay = policy.bounds.batchDelayMs;
  if (p99Ms !== undefined && delay !== undefined && delay[1] >= p99Ms) {
    refuse('bounds.batchDelayMs', `a longest delay below sla.p99Ms (${p99Ms}), which a wait alone would use up`, delay);
  }
  const { intervalS, burstIntervalS } = policy.sampling;
  if (burstIntervalS > intervalS) {
    refuse('sampling.burstIntervalS', `at most sampling.intervalS (${intervalS})`, burstIntervalS);
  }
  const { stages } = policy.trial;
  if (stages.some((stage, index) => index > 0 && stage <= (stages[index - 1] ?? 0)) || stages.at(-1) !== 1) {
    refuse('trial.stages', 'shares that ascend to 1, such as [0.1, 0.5, 1]', stages);
  }
  const performance = flat['weights.performance'];
  const cost = flat['weights.cost'];
  if (performance !== undefined || cost !== undefined) {
    if (typeof performance !== 'number' || typeof cost !== 'number') {
      refuse('weights', 'both performance and cost', { performance, cost });
    } else if (Math.abs(performance + cost - 1) > 1e-6)
      refuse('weights', 'weights that sum to 1', { performance, cost });
  }
  return issues;
}

/** The policy of a whole flat table. */
function toPolicy(flat: Flat): Policy {
  // The field table is typed by the leaves of Policy and every leaf was checked against its schema.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return freezeDeep(structuredClone(toTree(flat))) as unknown as Policy;
}

/** `null` and missing values back to their defaults. */
function withDefaults(flat: Flat): Flat {
  const whole: Record<string, unknown> = { ...toDefaults(POLICY_FIELDS) };
  for (const [key, value] of Object.entries(flat)) if (value !== null && value !== undefined) whole[key] = value;
  return whole;
}
