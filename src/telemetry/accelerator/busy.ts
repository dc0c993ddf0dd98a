// A device's load inferred from our own upstream calls: the one source that is always there.
import type { DeviceReading, ModelSnapshot } from '../../core/snapshot.ts';
import type { AcceleratorSampler } from './sampler.ts';

/** Identifier of the device that nobody has seen, only inferred. */
const INFERRED_UUID = 'inferred';

/**
 * `busyRatio` gives the share of time with at least one upstream call in flight, 0..1; null while nothing was
 * measured. It is what nvidia-smi calls utilisation as far as this agent's own traffic goes: a neighbour on the same
 * device is not seen, and a call that waits in the engine's queue counts as busy.
 */
export function createBusy(busyRatio: () => number | null): AcceleratorSampler {
  const read = (): number | null => {
    const ratio = busyRatio();
    return ratio === null || !(ratio >= 0) ? null : Math.min(1, ratio);
  };
  return {
    source: 'busy',
    start: () => undefined,
    devices(): readonly DeviceReading[] {
      const utilizationRatio = read();
      if (utilizationRatio === null) return [];
      return [
        {
          index: '0',
          uuid: INFERRED_UUID,
          name: null,
          utilizationRatio,
          memoryUsedBytes: null,
          memoryTotalBytes: null,
          powerWatts: null,
          temperatureCelsius: null,
          parentUuid: null,
        },
      ];
    },
    health: () => ({ source: 'busy', ageMs: read() === null ? null : 0, errors: 0, lastError: null }),
    stop: () => Promise.resolve(),
  };
}

/**
 * Busy share of the device over all models of a snapshot; null without models. Each model's own share is exact; how
 * they overlap is not recorded, so they are taken as independent: 1 - product of (1 - b). With one model it is exact.
 */
export function toBusyRatio(models: readonly Pick<ModelSnapshot, 'window'>[]): number | null {
  if (models.length === 0) return null;
  return 1 - models.reduce((idle, { window }) => idle * (1 - window.busyRatio), 1);
}
