// One lane before the modelled engine in virtual time, with everything that ended and when.
import type { Settings } from '../../../src/core/settings.ts';
import { createRandom } from '../../../src/core/random.ts';
import { Engine } from '../../../sidecar/lab/engine.ts';
import type { LatencyCurve } from '../../../sidecar/lab/profiles.ts';
import { createLane } from '../../../sidecar/proxy/lane.ts';
import { EngineGate } from '../../../sidecar/proxy/limit.ts';
import type { Batch, Lane, ShedReason, Waiting } from '../../../sidecar/proxy/waiting.ts';

export interface Drive {
  readonly curve: LatencyCurve;
  readonly settings?: Partial<Settings>;
  readonly slaMs: number | null;
  /** Arrivals per second at a time; drawn as a Poisson process. */
  readonly ratePerS: (atMs: number) => number;
  readonly ratePerSMax: number;
  readonly durationMs: number;
  readonly keys?: number;
  readonly priority?: (index: number) => number;
  readonly deadlineMs?: number;
  readonly interference?: number;
  /** The engine is this much slower at a time; 1 = as modelled. */
  readonly slowdown?: { readonly atMs: number; readonly ratio: number }[];
  /** No shedding: everything is taken (the arm to compare with). */
  readonly isUnshed?: boolean;
  readonly seed?: number;
}

export interface Ended {
  readonly arrivedMs: number;
  readonly latencyMs: number;
  readonly priority: number;
  readonly kind: 'served' | 'expired' | ShedReason;
  readonly retryAfterMs: number;
}

export interface Result {
  readonly ended: readonly Ended[];
  readonly queueMax: number;
  readonly batches: number;
}

export function drive(options: Drive): Result {
  const random = createRandom(options.seed ?? 1);
  const arrivals = random.fork('arrivals');
  const engine = new Engine({
    curve: options.curve,
    interference: options.interference ?? 0.7,
    random: random.fork('noise'),
  });
  const settings: Settings = { batchSize: 64, batchDelayMs: 0, concurrency: 1, switches: {}, ...options.settings };
  const version = { settings, generation: 1, source: 'start' } as const;
  const lane = createLane<Waiting>({
    model: 'm',
    settings: () => version,
    maxBatchSize: () => Infinity,
    sla: () => (options.isUnshed === true ? 1e9 : options.slaMs),
    gate: new EngineGate<Lane<Waiting>>(64),
    queueRequests: options.isUnshed === true ? Infinity : 20_000,
    random: random.fork('retry'),
  });
  const slowdowns = [...(options.slowdown ?? [])];
  const running = new Map<number, Batch<Waiting>>();
  const ended: Ended[] = [];
  let queueMax = 0;
  let batches = 0;
  let wakeMs = Infinity;
  const end = (request: Waiting, nowMs: number, kind: Ended['kind'], retryAfterMs = 0): void => {
    ended.push({
      arrivedMs: request.arrivedMs,
      latencyMs: nowMs - request.arrivedMs,
      priority: request.priority,
      kind,
      retryAfterMs,
    });
  };
  const pump = (nowMs: number): void => {
    for (let step = lane.next(nowMs); ; step = lane.next(nowMs)) {
      if (step.kind === 'dispatch') {
        running.set(engine.start(step.batch.items, nowMs), step.batch);
        batches++;
      } else if (step.kind === 'expired') for (const request of step.requests) end(request, nowMs, 'expired');
      else {
        wakeMs = step.kind === 'wait' ? step.untilMs : Infinity;
        return;
      }
    }
  };

  let index = 0;
  let nextMs = arrivals.exponential(1000 / options.ratePerSMax);
  for (;;) {
    const arriveMs = nextMs < options.durationMs ? nextMs : Infinity;
    const slowMs = slowdowns[0]?.atMs ?? Infinity;
    const nowMs = Math.min(arriveMs, engine.nextEndMs, wakeMs, slowMs);
    if (nowMs === Infinity) break;
    const done = engine.end(nowMs);
    if (done !== null) {
      const batch = running.get(done.ticket)!;
      running.delete(done.ticket);
      lane.finish(batch, 'success', nowMs);
      for (const request of batch.members) end(request, nowMs, 'served');
    } else if (nowMs === slowMs) engine.setSlowdown(slowdowns.shift()!.ratio, nowMs);
    else if (nowMs === arriveMs) {
      if (arrivals.next() * options.ratePerSMax < options.ratePerS(nowMs)) {
        const request: Waiting = {
          key: `k${index % (options.keys ?? 1)}`,
          items: 1,
          isBatchable: true,
          arrivedMs: nowMs,
          deadlineMs: nowMs + (options.deadlineMs ?? Infinity),
          priority: options.priority?.(index) ?? 1,
          slot: -1,
        };
        index++;
        const verdict = lane.arrive(request, nowMs);
        if (verdict.kind === 'shed') end(request, nowMs, verdict.reason, verdict.retryAfterMs);
        queueMax = Math.max(queueMax, lane.queuedRequests);
      }
      nextMs += arrivals.exponential(1000 / options.ratePerSMax);
    }
    pump(nowMs);
  }
  if (ended.length !== index) throw new Error(`${index - ended.length} of ${index} lost`);
  return { ended, queueMax, batches };
}

/** Served within `withinMs`, per second, of the arrivals in a span. */
export function goodputPerS(result: Result, withinMs: number, fromMs: number, toMs: number): number {
  const good = result.ended.filter(
    (one) => one.kind === 'served' && one.latencyMs <= withinMs && one.arrivedMs >= fromMs && one.arrivedMs < toMs,
  );
  return good.length / ((toMs - fromMs) / 1000);
}

/** p99 of the latency of what was served, of the arrivals in a span, ms. */
export function servedP99Ms(result: Result, fromMs: number, toMs: number): number {
  const sorted = result.ended
    .filter((one) => one.kind === 'served' && one.arrivedMs >= fromMs && one.arrivedMs < toMs)
    .map((one) => one.latencyMs)
    .sort((a, b) => a - b);
  return sorted[Math.floor(0.99 * sorted.length)] ?? NaN;
}
