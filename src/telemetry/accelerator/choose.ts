// The best source there is: nvidia-smi if it works, else the node's dcgm-exporter, else our own busy time.
import type { DeviceReading, SourceHealth } from '../../core/snapshot.ts';
import type { AcceleratorSampler } from './sampler.ts';

export interface ChooseOptions {
  /** A reading older than this does not count as working, ms: a few sampling intervals. */
  readonly staleMs?: () => number;
  /** A source that has said nothing for so long is given company by the next, ms. */
  readonly patienceMs?: number;
  readonly clock?: () => number;
}

/** Several sources behind one face. */
export interface ChosenAccelerator extends AcceleratorSampler {
  /** Health of every source that was started, in order. */
  healths(nowMs: number): readonly SourceHealth[];
}

/**
 * `samplers` in order of preference. The first is started at once, each further one only when those before it have
 * failed or stayed silent. In use is the first with a fresh utilisation; where no one has one (MIG), the first with a
 * fresh reading.
 */
export function chooseAccelerator(
  samplers: readonly AcceleratorSampler[],
  options: ChooseOptions = {},
): ChosenAccelerator {
  const clock = options.clock ?? (() => performance.now());
  const staleMs = options.staleMs ?? (() => 30_000);
  const patienceMs = options.patienceMs ?? 5000;
  const startedMs: number[] = [];
  let isStopped = false;

  const startNext = (): void => {
    const next = samplers[startedMs.length];
    if (next === undefined || isStopped) return;
    startedMs.push(clock());
    next.start();
  };
  const isFresh = (sampler: AcceleratorSampler): boolean => {
    const { ageMs } = sampler.health(clock());
    return ageMs !== null && ageMs <= staleMs();
  };
  const pick = (): AcceleratorSampler | null => {
    let fallback: AcceleratorSampler | null = null;
    for (let i = 0; i < startedMs.length; i++) {
      const sampler = samplers[i]!;
      if (isFresh(sampler)) {
        if (sampler.devices().some((device) => device.utilizationRatio !== null)) return sampler;
        fallback ??= sampler;
      }
      const hasFailed = sampler.health(clock()).errors > 0 || clock() - startedMs[i]! >= patienceMs;
      if (i === startedMs.length - 1 && (hasFailed || fallback !== null)) startNext();
    }
    return fallback;
  };

  return {
    get source() {
      return (pick() ?? samplers[0])?.source ?? 'off';
    },
    start() {
      if (startedMs.length === 0) startNext();
    },
    devices: (): readonly DeviceReading[] => pick()?.devices() ?? [],
    health(nowMs) {
      const sampler = pick() ?? samplers[0];
      return sampler?.health(nowMs) ?? { source: 'off', ageMs: null, errors: 0, lastError: null };
    },
    healths: (nowMs) => startedMs.map((_, i) => samplers[i]!.health(nowMs)),
    async stop() {
      isStopped = true;
      await Promise.all(samplers.map((sampler) => sampler.stop()));
    },
  };
}
