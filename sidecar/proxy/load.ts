// How full a lane is, as the rooms around the proxy are told.
import type { ModelLane } from './models.ts';

/** How full one lane is at this instant. */
export interface LaneLoad {
  /** Requests waiting. */
  readonly queueDepth: number;
  /** How long the oldest of them has waited, ms; 0 when none waits. */
  readonly oldestWaitMs: number;
  /** Upstream calls. */
  readonly inflight: number;
}

/** One model as the proxy sees it now. */
export interface LaneStatus extends LaneLoad {
  readonly model: string;
  /** Requests refused because they would have ended too late, ever. */
  readonly lateSheds: number;
}

const EMPTY: LaneLoad = Object.freeze({ queueDepth: 0, oldestWaitMs: 0, inflight: 0 });

/** Zeros for a model that has no lane. */
export function toLoad(entry: ModelLane | null, nowMs: number): LaneLoad {
  if (entry === null) return EMPTY;
  const { lane, held } = entry;
  return {
    queueDepth: lane.queuedRequests + held,
    oldestWaitMs: lane.oldestArrivedMs === null ? 0 : nowMs - lane.oldestArrivedMs,
    inflight: lane.inflight,
  };
}

export function toStatus(entry: ModelLane, nowMs: number): LaneStatus {
  return { model: entry.label, lateSheds: entry.lateSheds, ...toLoad(entry, nowMs) };
}
