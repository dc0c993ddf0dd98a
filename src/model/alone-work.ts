// Durations freed of congestion: what each call would have taken alone, under several hypotheses of the sharing law at once.
import type { BatchSample } from '../core/snapshot.ts';

/** One hypothesis of how calls share the device. */
export interface SharingLaw {
  /** kappa. */
  readonly interference: number;
  /** d(items): the share of the device that one call can use. */
  demand(items: number): number;
}

/**
 * With k calls running each advances at r = 1 / max(1, sum d, 1 + kappa (k - 1)); so a call that ran from s to e did
 * W(e) - W(s) of work, W the integral of r: its time alone. One sweep over starts and ends carries a work clock for every
 * law. Calls of other models show only in `inflight` (how many were running at the start): what is more than the samples
 * explain counts as that many more calls for as long as the call runs.
 *
 * `samples` by start. Gives work[sample * laws + law], ms.
 */
export function toAloneWork(samples: readonly BatchSample[], laws: readonly SharingLaw[]): Float64Array {
  const count = samples.length;
  const endMs = Float64Array.from(samples, (sample) => sample.startedMs + sample.durationMs);
  const byEnd = Array.from(samples.keys()).sort((a, b) => endMs[a]! - endMs[b]!);
  const work = new Float64Array(count * laws.length);
  const clocks = new Float64Array(laws.length);
  const demands = new Float64Array(laws.length);
  const strangers = new Int32Array(count);
  let running = 0;
  let strangersRunning = 0;
  let nowMs = samples[0]?.startedMs ?? 0;
  let started = 0;
  let ended = 0;
  const passTo = (atMs: number): void => {
    const passedMs = atMs - nowMs;
    nowMs = atMs;
    if (passedMs <= 0 || running === 0) return;
    const all = running + strangersRunning / running;
    for (const [index, law] of laws.entries())
      clocks[index]! += passedMs / Math.max(1, demands[index]!, 1 + law.interference * (all - 1));
  };
  while (ended < count) {
    const first = byEnd[ended]!;
    // A call that starts where another ends does not meet it.
    const isStart = started < count && samples[started]!.startedMs < endMs[first]!;
    const sample = samples[isStart ? started : first]!;
    const at = isStart ? started++ : first;
    passTo(isStart ? sample.startedMs : endMs[first]!);
    if (isStart) {
      running++;
      strangers[at] = Math.max(0, sample.inflight - running);
    } else {
      ended++;
      running--;
    }
    strangersRunning += isStart ? strangers[at]! : -strangers[at]!;
    for (const [index, law] of laws.entries()) {
      const cell = at * laws.length + index;
      // At the start the reading of the clock, at the end what it has gone on.
      work[cell] = isStart ? clocks[index]! : clocks[index]! - work[cell]!;
      demands[index] = running === 0 ? 0 : demands[index]! + (isStart ? 1 : -1) * law.demand(sample.items);
    }
  }
  return work;
}
