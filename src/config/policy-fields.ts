// The field table of the tuning policy: what an operator may ask for.
import { Type } from 'typebox';
import { DEFAULT_POLICY, MODES, type Policy } from '../core/policy.ts';
import type { FieldTable, LeafKey } from './field.ts';
import { oneOf, rangeOf } from './schema.ts';

const milliseconds = Type.Number({ exclusiveMinimum: 0, maximum: 600_000 });
const share = Type.Number({ minimum: 0, maximum: 1 });
const d = DEFAULT_POLICY;

/** Keys without the `policy.` under which they stand in the agent's file. Environment and flags leave it out too. */
export const POLICY_FIELDS: FieldTable<LeafKey<Policy>> = {
  mode: {
    schema: oneOf(MODES),
    env: 'MORPHLING_MODE',
    flag: 'mode',
    default: d.mode,
    doc: 'What to weigh: latency (performance), device time (cost), or both; balanced, since nobody has said otherwise.',
  },
  'sla.p99Ms': {
    schema: milliseconds,
    env: 'MORPHLING_SLA_P99_MS',
    flag: 'sla-p99-ms',
    unit: 'ms',
    default: undefined,
    doc: 'Target for the 99th percentile of latency; left out: 3 times the measured p99 at batch 1, shown everywhere as assumed.',
  },
  'sla.errorRate': {
    schema: share,
    env: 'MORPHLING_SLA_ERROR_RATE',
    unit: 'ratio',
    default: d.sla.errorRate,
    doc: 'Share of requests that may fail; 1 % is what the objective allows per stretch.',
  },
  'sla.ttftP99Ms': {
    schema: milliseconds,
    env: 'MORPHLING_SLA_TTFT_P99_MS',
    unit: 'ms',
    default: undefined,
    doc: 'Target for the time to the first token of a streamed answer; left out: none.',
  },
  'sla.itlP99Ms': {
    schema: milliseconds,
    env: 'MORPHLING_SLA_ITL_P99_MS',
    unit: 'ms',
    default: undefined,
    doc: 'Target for the time between two tokens of a streamed answer; left out: none.',
  },
  'weights.performance': {
    schema: share,
    env: 'MORPHLING_WEIGHTS_PERFORMANCE',
    unit: 'ratio',
    default: undefined,
    doc: 'Exponent of p99 in the objective; with weights.cost it sums to 1; left out: 1, 0 or 0.7 by mode.',
  },
  'weights.cost': {
    schema: share,
    env: 'MORPHLING_WEIGHTS_COST',
    unit: 'ratio',
    default: undefined,
    doc: 'Exponent of device time in the objective; left out: 0, 1 or 0.3 by mode.',
  },
  'bounds.batchSize': {
    schema: rangeOf(Type.Integer({ minimum: 1, maximum: 4096 })),
    env: 'MORPHLING_BOUNDS_BATCH_SIZE',
    unit: 'count',
    default: d.bounds.batchSize,
    doc: 'Least and most items in one upstream call; 64 is the largest batch of the latency profiles the policy is tested on.',
  },
  'bounds.batchDelayMs': {
    schema: rangeOf(Type.Number({ minimum: 0, maximum: 60_000 })),
    env: 'MORPHLING_BOUNDS_BATCH_DELAY_MS',
    unit: 'ms',
    default: undefined,
    doc: 'Least and longest wait for company; left out: 0 to 3/4 of the SLA, so that a batch still has time to run.',
  },
  'bounds.concurrency': {
    schema: rangeOf(Type.Integer({ minimum: 1, maximum: 1024 })),
    env: 'MORPHLING_BOUNDS_CONCURRENCY',
    unit: 'count',
    default: d.bounds.concurrency,
    doc: 'Least and most upstream calls in flight per model; the widest range the policy is tested on.',
  },
  'bounds.switches': {
    schema: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 32 }),
    env: 'MORPHLING_BOUNDS_SWITCHES',
    default: d.bounds.switches,
    doc: 'Engine switches that may be turned, such as tensorrt; none, since each may reload the model.',
  },
  'sampling.intervalS': {
    schema: Type.Number({ minimum: 0.1, maximum: 3600 }),
    env: 'MORPHLING_SAMPLING_INTERVAL_S',
    unit: 's',
    default: d.sampling.intervalS,
    doc: 'Time between two readings of the telemetry while all is calm; one reading per decision.',
  },
  'sampling.burstIntervalS': {
    schema: Type.Number({ minimum: 0.1, maximum: 3600 }),
    env: 'MORPHLING_SAMPLING_BURST_INTERVAL_S',
    unit: 's',
    default: d.sampling.burstIntervalS,
    doc: 'The same after a change of load, so that a jump is seen before the next decision.',
  },
  decideIntervalS: {
    schema: Type.Number({ minimum: 0.1, maximum: 3600 }),
    env: 'MORPHLING_DECIDE_INTERVAL_S',
    unit: 's',
    default: d.decideIntervalS,
    doc: 'Time between two decisions; one per calm sampling interval.',
  },
  'trial.stages': {
    schema: Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), { minItems: 1, maxItems: 10 }),
    env: 'MORPHLING_TRIAL_STAGES',
    unit: 'ratio',
    default: d.trial.stages,
    doc: "A trial's shares of time, ascending to 1; a tenth first, so that a bad candidate touches little.",
  },
  'trial.alpha': {
    schema: Type.Number({ exclusiveMinimum: 0, maximum: 0.5 }),
    env: 'MORPHLING_TRIAL_ALPHA',
    unit: 'ratio',
    default: d.trial.alpha,
    doc: 'Chance of a false alarm that a verdict accepts; 1 in 100.',
  },
  'trial.minBatches': {
    schema: Type.Integer({ minimum: 1, maximum: 100_000 }),
    env: 'MORPHLING_TRIAL_MIN_BATCHES',
    unit: 'count',
    default: d.trial.minBatches,
    doc: 'Fewest batches on each side of a comparison; below 20 a p99 is one request.',
  },
  'trial.maxWaitS': {
    schema: Type.Number({ minimum: 1, maximum: 86_400 }),
    env: 'MORPHLING_TRIAL_MAX_WAIT_S',
    unit: 's',
    default: d.trial.maxWaitS,
    doc: 'A trial that has no verdict after so long is withdrawn; 5 minutes of thin traffic.',
  },
  'rollback.threshold': {
    schema: Type.Number({ exclusiveMinimum: 0, maximum: 10 }),
    env: 'MORPHLING_ROLLBACK_THRESHOLD',
    unit: 'ratio',
    default: d.rollback.threshold,
    doc: 'Relative worsening at which a change is withdrawn; 10 %.',
  },
  'rollback.windowS': {
    schema: Type.Number({ minimum: 1, maximum: 3600 }),
    env: 'MORPHLING_ROLLBACK_WINDOW_S',
    unit: 's',
    default: d.rollback.windowS,
    doc: 'Window after a change in which a worsening is looked for; 10 s, one decision.',
  },
  'guard.maxStepRatio': {
    schema: Type.Number({ exclusiveMinimum: 1, maximum: 64 }),
    env: 'MORPHLING_GUARD_MAX_STEP_RATIO',
    unit: 'ratio',
    default: d.guard.maxStepRatio,
    doc: 'One notch: the most a setting grows or shrinks in one step; doubling is what the planner can predict.',
  },
  'guard.cooldownWindows': {
    schema: Type.Integer({ minimum: 0, maximum: 1000 }),
    env: 'MORPHLING_GUARD_COOLDOWN_WINDOWS',
    unit: 'count',
    default: d.guard.cooldownWindows,
    doc: 'Windows without a change after a change: one to settle, one to measure.',
  },
  'guard.barMinutes': {
    schema: Type.Number({ minimum: 0, maximum: 10_080 }),
    env: 'MORPHLING_GUARD_BAR_MINUTES',
    unit: 'min',
    default: d.guard.barMinutes,
    doc: 'How long a withdrawn setting is barred, doubling each time; half an hour outlasts a burst.',
  },
  'learn.online': {
    schema: Type.Boolean(),
    env: 'MORPHLING_LEARN_ONLINE',
    default: d.learn.online,
    doc: 'Whether the policy goes on learning from live traffic.',
  },
  'learn.backend': {
    schema: oneOf(['wasm', 'cpu', 'node', 'node-gpu']),
    env: 'MORPHLING_LEARN_BACKEND',
    default: d.learn.backend,
    doc: 'TensorFlow.js backend; wasm needs no native library.',
  },
};
