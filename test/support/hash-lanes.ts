// The other way to try a setting: a share of the requests, by hash, through a lane of its own. Built here to show what it measures.
import { Engine } from '../../sidecar/lab/engine.ts';
import type { LatencyCurve } from '../../sidecar/lab/profiles.ts';
import { createLane } from '../../sidecar/proxy/lane.ts';
import { EngineGate } from '../../sidecar/proxy/limit.ts';
import type { Batch, Lane, Waiting } from '../../sidecar/proxy/waiting.ts';
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';

export interface HashLanes {
  readonly curve: LatencyCurve;
  readonly ratePerS: number;
  /** Of the requests that go to the candidate's lane, 0..1. */
  readonly share: number;
  readonly start: Settings;
  readonly candidate: Settings;
  readonly seed: number;
  readonly durationMs: number;
}

/** p99 of the candidate's lane, ms; both lanes share the engine, each has its own queue and limit. */
export function runHashLanes(options: HashLanes): { readonly p99Ms: number } {
  const { curve, ratePerS, share, durationMs } = options;
  const random = createRandom(options.seed);
  const arrivals = random.fork('arrivals');
  const engine = new Engine({ curve, interference: 0.7, random: random.fork('noise') });
  const gate = new EngineGate<Lane<Waiting>>(64);
  const lanes = [options.start, options.candidate].map((settings, index) =>
    createLane<Waiting>({
      model: String(index),
      settings: () => ({ settings, generation: 1, source: 'start' }),
      maxBatchSize: () => Infinity,
      sla: () => null,
      gate,
      queueRequests: 10_000,
      random: random.fork(`retry ${index}`),
    }),
  );
  const running = new Map<number, { readonly lane: number; readonly batch: Batch<Waiting> }>();
  const wakes = [Infinity, Infinity];
  const latencies: number[] = [];
  let nextMs = arrivals.exponential(1000 / ratePerS);
  for (let nowMs = 0; nowMs < durationMs;) {
    nowMs = Math.min(nextMs, engine.nextEndMs, ...wakes);
    while (engine.nextEndMs <= nowMs) {
      const ended = engine.end(nowMs)!;
      const { lane, batch } = running.get(ended.ticket)!;
      running.delete(ended.ticket);
      lanes[lane]!.finish(batch, 'success', ended.endedMs);
      if (lane === 1) for (const { arrivedMs } of batch.members) latencies.push(ended.endedMs - arrivedMs);
    }
    if (nextMs <= nowMs) {
      const request = {
        key: '',
        items: 1,
        isBatchable: true,
        arrivedMs: nowMs,
        deadlineMs: Infinity,
        priority: 1,
        slot: -1,
      };
      lanes[arrivals.next() < share ? 1 : 0]!.arrive(request, nowMs);
      nextMs = nowMs + arrivals.exponential(1000 / ratePerS);
    }
    for (const [index, lane] of lanes.entries()) {
      let step = lane.next(nowMs);
      for (; step.kind === 'dispatch'; step = lane.next(nowMs))
        running.set(engine.start(step.batch.items, nowMs), { lane: index, batch: step.batch });
      wakes[index] = step.kind === 'wait' ? step.untilMs : Infinity;
    }
  }
  latencies.sort((a, b) => a - b);
  return { p99Ms: latencies[Math.ceil(0.99 * latencies.length) - 1] ?? NaN };
}
