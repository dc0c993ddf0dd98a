// The demo's contestants: the same arrivals, the same modelled GPU, and what stands between them.

/** One contestant. */
export interface Arm {
  readonly id: 'none' | 'batch-1' | 'kserve' | 'natural' | 'aimd' | 'gradient' | 'morphling';
  /** As the table calls it. */
  readonly title: string;
  /** One sentence for the table's foot. */
  readonly what: string;
  /** Environment of the agent; null: clients call the model server themselves. */
  readonly agentEnv: Readonly<Record<string, string>> | null;
}

/** The fixed arms must not shed or be bounded by an SLA: their users never told them one. */
const NO_SLA_MS = '600000';

/**
 * In the order in which they run; the agent last, so that it is on the screen when the table comes. `hasRules`: with
 * the other rules of the field, each in the agent's own place and under the same reflex and guard.
 */
export function createArms(slaMs: number, hasRules = false): readonly Arm[] {
  return [
    {
      id: 'none',
      title: 'no agent',
      what: 'clients call the model server themselves; every request runs at once, as a batch of 1',
      agentEnv: null,
    },
    {
      id: 'batch-1',
      title: 'fixed batch 1',
      what: 'through the agent with batch 1, one call at a time, never tuned',
      agentEnv: toFixed(1, 0),
    },
    {
      id: 'kserve',
      title: 'KServe-like 32 / 5 s',
      what: "through the agent with the defaults of KServe's batcher: 32 items or 5 s, never tuned",
      agentEnv: toFixed(32, 5000),
    },
    ...(hasRules ? createRules(slaMs) : []),
    {
      id: 'morphling',
      title: 'Morphling agent',
      what: 'the agent with its default decider; decisions every second instead of every 10 s, as the demo is short',
      agentEnv: toTuned(slaMs),
    },
  ];
}

function createRules(slaMs: number): readonly Arm[] {
  return [
    {
      id: 'natural',
      title: 'natural batching',
      what: 'through the agent at its start setting, 64 items, no delay, one call at a time, never tuned',
      agentEnv: toFixed(64, 0),
    },
    {
      id: 'aimd',
      title: 'rule aimd',
      what: "the agent with Clipper's rule: larger batches by addition, smaller by division",
      agentEnv: { ...toTuned(slaMs), MORPHLING_DECIDER: 'aimd' },
    },
    {
      id: 'gradient',
      title: 'rule gradient',
      what: "the agent with the rule of Netflix's Gradient2: concurrency by the ratio of latencies",
      agentEnv: { ...toTuned(slaMs), MORPHLING_DECIDER: 'gradient' },
    },
  ];
}

/** Decisions every second instead of every 10 s, as the demo is short. */
function toTuned(slaMs: number): Readonly<Record<string, string>> {
  return {
    MORPHLING_SLA_P99_MS: String(slaMs),
    MORPHLING_DECIDE_INTERVAL_S: '1',
    MORPHLING_SAMPLING_INTERVAL_S: '1',
    MORPHLING_SAMPLING_BURST_INTERVAL_S: '1',
  };
}

/** Bounds of one point: nothing can move, and one upstream call is in flight. */
function toFixed(batchSize: number, batchDelayMs: number): Readonly<Record<string, string>> {
  return {
    MORPHLING_DECIDER: 'fixed',
    MORPHLING_SLA_P99_MS: NO_SLA_MS,
    MORPHLING_BOUNDS_BATCH_SIZE: `${batchSize},${batchSize}`,
    MORPHLING_BOUNDS_BATCH_DELAY_MS: `${batchDelayMs},${batchDelayMs}`,
    MORPHLING_BOUNDS_CONCURRENCY: '1,1',
  };
}
