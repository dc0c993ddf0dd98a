// What a decider may look at besides the model: the device's busy share, from the best source there is.
import type { Policy } from '../../src/core/policy.ts';
import type { ModelSnapshot, Snapshot } from '../../src/core/snapshot.ts';
import type { DecideContext } from './decider.ts';

/** A source this many sampling intervals old is not used: it tells of another load. */
const STALE_INTERVALS = 3;
/** The name of the source that is always there: time with an upstream call in flight. */
const INFERRED_SOURCE = 'busy';

/** Device telemetry if it is fresh, else the share of the window with a call in flight. Several devices: the busiest. */
export function toDecideContext(model: ModelSnapshot, snapshot: Snapshot, policy: Policy): DecideContext {
  const reading = snapshot.telemetry;
  const source = reading?.deviceSource ?? null;
  if (reading !== null && source !== null && !isStale(snapshot, source, policy)) {
    const ratios = reading.devices.map((device) => device.utilizationRatio).filter((ratio) => ratio !== null);
    if (ratios.length > 0)
      return { nowMs: snapshot.atMs, policy, deviceBusyRatio: Math.max(...ratios), deviceSource: source };
  }
  return {
    nowMs: snapshot.atMs,
    policy,
    deviceBusyRatio: model.window.durationMs > 0 ? model.window.busyRatio : null,
    deviceSource: INFERRED_SOURCE,
  };
}

/** True when the source has no reading younger than three sampling intervals. The inferred source is never stale. */
export function isStale(snapshot: Snapshot, source: string, policy: Policy): boolean {
  if (source === INFERRED_SOURCE) return false;
  const health = snapshot.telemetry?.health.find((entry) => entry.source === source);
  return health?.ageMs == null || health.ageMs > STALE_INTERVALS * policy.sampling.intervalS * 1000;
}
