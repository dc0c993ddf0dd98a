// Every metric the agent publishes: name, type, help, and where its values come from at the scrape.
import type { HistoryEntry } from '../../src/core/history.ts';
import type { SlaTarget } from '../../src/core/policy.ts';
import type { SettingsVersion } from '../../src/core/settings.ts';
import type { DeviceReading, TelemetryReading } from '../../src/core/snapshot.ts';
import type { Family, Sample } from './family.ts';
import type { Buckets } from './histogram.ts';
import type { BoundedNames } from './labels.ts';
import { PROTOCOLS, type RequestMeter } from './meter.ts';
import { ownFamilies, type OwnReadings } from './own-families.ts';

/** What is true of one model at the instant of the scrape. */
export interface LiveModel {
  readonly model: string;
  readonly version: SettingsVersion;
  readonly queueDepth: number;
  readonly inflight: number;
  readonly sla: SlaTarget;
  /** Share of the last window's requests that missed the SLA, 0..1; null while unknown. */
  readonly sloViolationRatio: number | null;
  /** Share of all arrivals, 0..1; null while nothing arrived. */
  readonly popularityRatio: number | null;
}

/** What the metrics page asks at every scrape. All must be cheap and must not throw. */
export interface MetricsDeps extends OwnReadings {
  readonly build: Readonly<Record<'version' | 'commit' | 'node', string>>;
  readonly models: () => readonly LiveModel[];
  /** Null while there is none (yet). */
  readonly telemetry: () => TelemetryReading | null;
  /** The SLA that a person gave, ms: its bucket. Null: none, and an assumed one moves too often to be a bucket. */
  readonly slaP99Ms: () => number | null;
  readonly isConfigInvalid: () => boolean;
  readonly isBypass: () => boolean;
  readonly samplingIntervalS: () => number;
  /** Why state does not reach the disk; null when it does. */
  readonly stateProblem: () => string | null;
  /** Absent until there is a trial machine: then the state it is in, one of `states`. */
  readonly trial?: { readonly states: readonly string[]; readonly state: () => string };
  /** Absent where nothing learns. */
  readonly learner?: () => LearnerReading | null;
}

/** What the last decision of a learning policy was like. */
interface LearnerReading {
  readonly reward: number;
  readonly entropy: number;
  /** Time it took, s. */
  readonly stepS: number;
}

/** Devices at most: more than fit into one machine, fewer than a broken reader could invent. */
const MAX_DEVICES = 64;

export function toFamilies(
  deps: MetricsDeps,
  meter: RequestMeter,
  changes: ChangeCounts,
  names: BoundedNames,
): Family[] {
  const counter = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'counter', help, read });
  const gauge = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'gauge', help, read });
  const histogram = (name: string, help: string, read: Family['read']): Family => ({
    name,
    type: 'histogram',
    help,
    read,
  });
  const single = (value: number | null): Sample[] => (value === null ? [] : [{ labels: {}, value }]);

  /** One sample a model; where several share the label `other`, `isSum` adds them up, else the first speaks. */
  const perModel = (
    value: (live: LiveModel) => number | null,
    isSum = false,
    more?: (live: LiveModel) => Record<string, string>,
  ) => {
    const byLabel = new Map<string, Sample>();
    for (const live of deps.models()) {
      const label = names.toLabel(live.model);
      const known = byLabel.get(label);
      const own = value(live);
      if (own === null || (known !== undefined && !isSum)) continue;
      byLabel.set(label, { labels: { model: label, ...more?.(live) }, value: own + (known?.value ?? 0) });
    }
    return [...byLabel.values()];
  };
  const perMeter = (read: (model: ReturnType<RequestMeter['meters']>[number]) => Buckets, scale: number) =>
    meter.meters().flatMap((model) => toSamples(read(model), { model: model.label }, scale));
  const perDevice = (value: (device: DeviceReading) => number | null): Sample[] =>
    (deps.telemetry()?.devices ?? []).slice(0, MAX_DEVICES).flatMap((device) => {
      const own = value(device);
      return own === null ? [] : [{ labels: { gpu: device.index, uuid: device.uuid }, value: own }];
    });

  return [
    gauge('morphling_build_info', 'Version of the agent, always 1.', () => [{ labels: deps.build, value: 1 }]),
    counter('morphling_requests', 'Requests that ended, by what became of them.', () =>
      meter.requests().map(({ model, protocol, code, outcome, count }) => ({
        labels: { model, protocol, code: String(code), outcome },
        value: count,
      })),
    ),
    histogram('morphling_request_duration_seconds', 'Whole time in the agent of successful requests.', () =>
      meter
        .meters()
        .flatMap((model) =>
          model.durations.flatMap((durations, index) =>
            durations === undefined
              ? []
              : toSamples(durations.read(), { model: model.label, protocol: PROTOCOLS[index] ?? 'other' }, 1000),
          ),
        ),
    ),
    histogram('morphling_queue_duration_seconds', 'Waiting before the upstream call of successful requests.', () =>
      perMeter((model) => model.queue.read(), 1000),
    ),
    histogram('morphling_upstream_duration_seconds', 'The upstream call of successful requests.', () =>
      perMeter((model) => model.upstream.read(), 1000),
    ),
    histogram('morphling_batch_size', 'Items in one upstream call.', () =>
      perMeter((model) => model.batchItems.read(), 1),
    ),
    counter('morphling_batches', 'Upstream calls, by why they left.', () =>
      meter.batchesByReason().map(([reason, count]) => ({ labels: { reason }, value: count })),
    ),
    gauge('morphling_queue_depth', 'Requests waiting now.', () => perModel((live) => live.queueDepth, true)),
    gauge('morphling_inflight_requests', 'Upstream calls in flight now.', () =>
      perModel((live) => live.inflight, true),
    ),
    gauge('morphling_config_batch_size_limit', 'Most items in one upstream call, in force.', () =>
      perModel((live) => live.version.settings.batchSize),
    ),
    gauge('morphling_config_batch_timeout_seconds', 'Longest wait for company, in force.', () =>
      perModel((live) => live.version.settings.batchDelayMs / 1000),
    ),
    gauge('morphling_config_concurrency_limit', 'Most upstream calls in flight, in force.', () =>
      perModel((live) => live.version.settings.concurrency),
    ),
    gauge('morphling_config_generation', 'Number of the settings in force; grows by one a change.', () =>
      perModel((live) => live.version.generation),
    ),
    gauge('morphling_config_invalid', '1 when bad configuration was ignored and the agent passes through.', () =>
      single(Number(deps.isConfigInvalid())),
    ),
    counter('morphling_config_changes', 'Changes of settings, by who asked and what became of them.', () =>
      changes.changes(),
    ),
    counter('morphling_rollbacks', 'Changes taken back, by why.', () => changes.rollbacks()),
    ...(deps.trial === undefined
      ? []
      : [gauge('morphling_trial_state', '1 for the state the trial machine is in.', () => trialSamples(deps.trial))]),
    gauge('morphling_slo_target_seconds', 'Target for p99; assumed: 3 times the measured p99 at batch 1.', () =>
      perModel(
        (live) => (live.sla.p99Ms === null ? null : live.sla.p99Ms / 1000),
        false,
        (live) => ({ assumed: String(live.sla.isAssumed) }),
      ),
    ),
    gauge('morphling_slo_violation_ratio', 'Share of requests of the last window that missed the target.', () =>
      perModel((live) => live.sloViolationRatio),
    ),
    ...learnerFamilies(deps.learner),
    gauge('morphling_bypass_active', '1 while batching, trials and limits are off.', () =>
      single(Number(deps.isBypass())),
    ),
    gauge('morphling_state_degraded', '1 while settings and history do not reach the disk.', () =>
      single(Number(deps.stateProblem() !== null)),
    ),
    ...ownFamilies(deps),
    gauge('morphling_gpu_utilization_ratio', 'Share of time in which the device was busy.', () =>
      perDevice((one) => one.utilizationRatio),
    ),
    gauge('morphling_gpu_memory_used_bytes', 'Device memory in use, by all processes.', () =>
      perDevice((one) => one.memoryUsedBytes),
    ),
    gauge('morphling_gpu_memory_total_bytes', 'Device memory there is.', () =>
      perDevice((one) => one.memoryTotalBytes),
    ),
    gauge('morphling_gpu_power_watts', 'Power the device draws.', () => perDevice((one) => one.powerWatts)),
    gauge('morphling_gpu_temperature_celsius', 'Temperature of the device.', () =>
      perDevice((one) => one.temperatureCelsius),
    ),
    gauge('morphling_cpu_utilization_ratio', 'CPU in use, and whose: container, pod, node or our own process.', () => {
      const host = deps.telemetry()?.host ?? null;
      return host === null || host.cpuRatio === null
        ? []
        : [{ labels: { source: host.cpuSource }, value: host.cpuRatio }];
    }),
    gauge('morphling_model_popularity_ratio', 'Share of all arrivals that ask for this model.', () =>
      perModel((live) => live.popularityRatio, true),
    ),
    gauge('morphling_telemetry_age_seconds', 'Time since the last good reading.', () =>
      (deps.telemetry()?.health ?? []).flatMap(({ source, ageMs }) =>
        ageMs === null ? [] : [{ labels: { source }, value: ageMs / 1000 }],
      ),
    ),
    counter('morphling_telemetry_errors', 'Readings that failed.', () =>
      (deps.telemetry()?.health ?? []).map(({ source, errors }) => ({ labels: { source }, value: errors })),
    ),
    gauge('morphling_sampling_interval_seconds', 'Time between two readings now.', () =>
      single(deps.samplingIntervalS()),
    ),
  ];
}

/** Counts what history records. */
export class ChangeCounts {
  readonly #changes = new Map<string, { readonly labels: Record<string, string>; value: number }>();
  readonly #rollbacks = new Map<string, number>();

  /** `cause` is set on a rollback. All labels are words of ours, so the series are bounded. */
  count({ source, class: changeClass, result }: HistoryEntry, cause: string | null): void {
    const key = `${source}|${changeClass}|${result}`;
    const known = this.#changes.get(key);
    if (known === undefined) this.#changes.set(key, { labels: { source, class: changeClass, result }, value: 1 });
    else known.value++;
    if (result === 'rolled_back') {
      const reason = cause ?? 'unknown';
      this.#rollbacks.set(reason, (this.#rollbacks.get(reason) ?? 0) + 1);
    }
  }

  changes(): Sample[] {
    return [...this.#changes.values()].map(({ labels, value }) => ({ labels, value }));
  }

  rollbacks(): Sample[] {
    return [...this.#rollbacks].map(([reason, value]) => ({ labels: { reason }, value }));
  }
}

/** `scale`: how many of the histogram's units are one of the page's, 1000 for ms on a page in seconds. */
function toSamples({ bounds, sum, count }: Buckets, labels: Record<string, string>, scale: number): Sample[] {
  const buckets = bounds.map(([le, value]) => ({
    suffix: '_bucket',
    labels: { ...labels, le: String(le / scale) },
    value,
  }));
  return [
    ...buckets,
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
    { suffix: '_sum', labels, value: sum / scale },
    { suffix: '_count', labels, value: count },
  ];
}

function trialSamples(trial: MetricsDeps['trial']): Sample[] {
  const now = trial?.state();
  return (trial?.states ?? []).map((state) => ({ labels: { state }, value: Number(state === now) }));
}

function learnerFamilies(learner: MetricsDeps['learner']): Family[] {
  if (learner === undefined) return [];
  const gauge = (name: string, help: string, value: (of: LearnerReading) => number): Family => ({
    name,
    type: 'gauge',
    help,
    read: () => {
      const now = learner();
      return now === null ? [] : [{ labels: {}, value: value(now) }];
    },
  });
  return [
    gauge('morphling_reward', 'Reward of the last decision.', ({ reward }) => reward),
    gauge('morphling_policy_entropy', 'Entropy of the policy at the last decision.', ({ entropy }) => entropy),
    gauge('morphling_policy_step_seconds', 'Time the last decision took.', ({ stepS }) => stepS),
  ];
}
