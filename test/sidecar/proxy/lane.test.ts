import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/core/random.ts';
import type { Settings, SettingsVersion } from '../../../src/core/settings.ts';
import { createLane, type LaneOptions } from '../../../sidecar/proxy/lane.ts';
import { EngineGate } from '../../../sidecar/proxy/limit.ts';
import { ShareLimit } from '../../../sidecar/proxy/share-limit.ts';
import type { Batch, Lane, Waiting } from '../../../sidecar/proxy/waiting.ts';

interface Bench {
  readonly lane: Lane<Waiting>;
  readonly set: (settings: Partial<Settings>) => void;
}

function createBench(settings: Partial<Settings> = {}, fields: Partial<LaneOptions<Waiting>> = {}): Bench {
  let version: SettingsVersion = {
    settings: { batchSize: 4, batchDelayMs: 0, concurrency: 1, switches: {}, ...settings },
    generation: 1,
    source: 'start',
  };
  const lane = createLane<Waiting>({
    model: 'm',
    settings: () => version,
    maxBatchSize: () => Infinity,
    sla: () => null,
    gate: new EngineGate<Lane<Waiting>>(64),
    queueRequests: 1000,
    random: createRandom(1),
    ...fields,
  });
  return {
    lane,
    set: (change) => {
      version = { settings: { ...version.settings, ...change }, generation: version.generation + 1, source: 'user' };
    },
  };
}

function toRequest(arrivedMs: number, fields: Partial<Waiting> = {}): Waiting {
  return { key: 'a', items: 1, isBatchable: true, arrivedMs, deadlineMs: Infinity, priority: 1, slot: -1, ...fields };
}

function arrive(lane: Lane<Waiting>, nowMs: number, count = 1, fields: Partial<Waiting> = {}): Waiting[] {
  return Array.from({ length: count }, () => {
    const request = toRequest(nowMs, fields);
    expect(lane.arrive(request, nowMs)).toEqual({ kind: 'queued' });
    return request;
  });
}

/** All that leaves now. */
function pump(lane: Lane<Waiting>, nowMs: number): Batch<Waiting>[] {
  const batches: Batch<Waiting>[] = [];
  for (let step = lane.next(nowMs); step.kind === 'dispatch' || step.kind === 'expired'; step = lane.next(nowMs))
    if (step.kind === 'dispatch') batches.push(step.batch);
  return batches;
}

describe('natural batching', () => {
  test('the first leaves at once; what arrives while the engine is busy forms the next batch', () => {
    const { lane } = createBench();
    arrive(lane, 0);
    const [first] = pump(lane, 0);
    expect(first).toMatchObject({
      items: 1,
      reason: 'natural',
      inflight: 1,
      inflightAll: 1,
      startedMs: 0,
      generation: 1,
    });
    arrive(lane, 1, 3);
    expect(lane.next(1)).toEqual({ kind: 'idle' });
    lane.finish(first!, 'success', 5);
    expect(pump(lane, 5)).toMatchObject([{ items: 3, reason: 'natural', startedMs: 5 }]);
  });
});

describe('a delay', () => {
  test('holds on an idle engine, and says until when', () => {
    const { lane } = createBench({ batchDelayMs: 10 });
    arrive(lane, 0);
    expect(lane.next(0)).toEqual({ kind: 'wait', untilMs: 10 });
    arrive(lane, 6);
    expect(lane.next(6)).toEqual({ kind: 'wait', untilMs: 10 });
    expect(pump(lane, 10)).toMatchObject([{ items: 2, reason: 'timeout' }]);
  });

  test('counts from the end of the body, not from its first byte', () => {
    const { lane } = createBench({ batchDelayMs: 10 });
    lane.arrive(toRequest(0), 500);
    expect(lane.next(500)).toEqual({ kind: 'wait', untilMs: 510 });
  });

  test('brought to 0 it lets go at once', () => {
    const { lane, set } = createBench({ batchDelayMs: 1000 });
    arrive(lane, 0);
    pump(lane, 0);
    set({ batchDelayMs: 0 });
    expect(pump(lane, 1)).toMatchObject([{ reason: 'natural', generation: 2 }]);
  });

  test('never costs a deadline: with nothing known the batch leaves at once', () => {
    const { lane } = createBench({ batchDelayMs: 1000 });
    arrive(lane, 0, 1, { deadlineMs: 50 });
    expect(pump(lane, 0)).toMatchObject([{ items: 1, reason: 'timeout' }]);
  });

  test('a drain flushes, and later arrivals do not wait either', () => {
    const { lane } = createBench({ batchDelayMs: 1000, concurrency: 2 });
    arrive(lane, 0, 2);
    pump(lane, 0);
    lane.drain();
    expect(pump(lane, 1)).toMatchObject([{ items: 2, reason: 'drain' }]);
    arrive(lane, 2);
    expect(pump(lane, 2)).toMatchObject([{ items: 1, reason: 'drain' }]);
  });
});

describe('limits', () => {
  test('lowering the concurrency cancels nothing and holds from the next batch on; raising is at once', () => {
    const { lane, set } = createBench({ concurrency: 3, batchSize: 1 });
    arrive(lane, 0, 6);
    const running = pump(lane, 0);
    expect(running).toHaveLength(3);
    set({ concurrency: 1 });
    lane.finish(running[0]!, 'success', 1);
    lane.finish(running[1]!, 'success', 1);
    expect(pump(lane, 1)).toEqual([]);
    expect(lane.inflight).toBe(1);
    set({ concurrency: 3 });
    expect(pump(lane, 2)).toHaveLength(2);
  });

  test("the engine's own maximum bounds a batch, and a larger request goes alone", () => {
    const { lane } = createBench({ batchSize: 64, concurrency: 9 }, { maxBatchSize: () => 2 });
    arrive(lane, 0, 3);
    arrive(lane, 0, 1, { items: 5 });
    expect(pump(lane, 0).map(({ items, reason }) => `${items} ${reason}`)).toEqual(['2 full', '1 full', '5 single']);
  });

  test('a batch that ends twice gives its place back once', () => {
    const { lane } = createBench({ batchSize: 1 });
    arrive(lane, 0, 4);
    const [first] = pump(lane, 0);
    lane.finish(first!, 'success', 1);
    lane.finish(first!, 'dropped', 1);
    expect(pump(lane, 1)).toHaveLength(1);
    expect(lane.inflight).toBe(1);
  });

  test("another lane's batch is not taken for one's own", () => {
    const [mine, theirs] = [createBench(), createBench()];
    arrive(mine.lane, 0);
    arrive(theirs.lane, 0);
    pump(mine.lane, 0);
    const [foreign] = pump(theirs.lane, 0);
    mine.lane.finish(foreign!, 'success', 1);
    expect(mine.lane.inflight).toBe(1);
  });

  test('lanes on one gate take turns, and a freed place names the lane to poll', () => {
    const gate = new EngineGate<Lane<Waiting>>(1);
    const [flood, quiet] = [createBench({ batchSize: 1, concurrency: 9 }, { gate }), createBench({}, { gate })];
    arrive(flood.lane, 0, 50);
    const [first] = pump(flood.lane, 0);
    arrive(quiet.lane, 1);
    expect(quiet.lane.next(1)).toEqual({ kind: 'idle' });
    flood.lane.finish(first!, 'success', 2);
    // Although it frees the place and asks first, it has had its turn since the other came.
    expect(gate.pick()).toBe(flood.lane);
    const [second] = pump(flood.lane, 2);
    flood.lane.finish(second!, 'success', 3);
    expect(pump(flood.lane, 3)).toEqual([]);
    expect(gate.pick()).toBe(quiet.lane);
    expect(pump(quiet.lane, 3)).toMatchObject([{ inflightAll: 1 }]);
    expect(gate.pick()).toBeNull();
  });

  test('a share holds a batch until its device time has come, and one who asks learns when', () => {
    const share = new ShareLimit();
    share.grant({ model: 'm', gpuUuid: 'g', gpuMsPerS: 100, concurrencyMax: 1, memoryBytes: 0, expiresInMs: 1e9 }, 0);
    const { lane } = createBench({ concurrency: 8, batchSize: 1 }, { share });
    arrive(lane, 0, 2);
    const [first, ...more] = pump(lane, 0);
    expect(more).toEqual([]);
    lane.finish(first!, 'success', 200);
    // 100 saved + 20 gained - 200 used = 80 ms of debt at 0.1 a ms, and one more for the rounding
    const step = lane.next(200);
    expect(step).toEqual({ kind: 'wait', untilMs: expect.closeTo(1010, 6) });
    expect(pump(lane, 1010)).toHaveLength(1);
  });
});

describe('leaving without an answer', () => {
  test('what waited past its deadline is handed back before anything is batched', () => {
    const { lane } = createBench();
    arrive(lane, 0);
    const [first] = pump(lane, 0);
    const [late] = arrive(lane, 1, 1, { deadlineMs: 20 });
    arrive(lane, 1);
    expect(lane.next(1)).toEqual({ kind: 'wait', untilMs: 20 });
    lane.finish(first!, 'success', 30);
    expect(lane.next(30)).toEqual({ kind: 'expired', requests: [late] });
    expect(pump(lane, 30)).toMatchObject([{ items: 1 }]);
  });

  test('a cancel takes out what waits, once; what was sent or never came is not there', () => {
    const { lane } = createBench();
    const [sent] = arrive(lane, 0);
    pump(lane, 0);
    const [waiting] = arrive(lane, 1);
    expect([lane.cancel(sent!), lane.cancel(waiting!), lane.cancel(waiting!), lane.cancel(toRequest(0))]).toEqual([
      false,
      true,
      false,
      false,
    ]);
    expect([lane.queuedRequests, lane.queuedItems, lane.oldestArrivedMs]).toEqual([0, 0, null]);
  });

  test('closed, it sheds as draining and ends what it has', () => {
    const { lane } = createBench();
    arrive(lane, 0, 2);
    lane.close();
    expect(lane.arrive(toRequest(0), 0)).toMatchObject({ kind: 'shed', reason: 'draining' });
    expect(pump(lane, 0)).toMatchObject([{ items: 2 }]);
  });

  test('members of a split batch go once more, alone, before what waited', () => {
    const { lane } = createBench({ concurrency: 1 });
    const members = arrive(lane, 0, 2);
    const [merged] = pump(lane, 0);
    arrive(lane, 1, 3);
    lane.finish(merged!, 'ignored', 2);
    for (const request of members) lane.resend(request, 2);
    for (const request of members) {
      const [single] = pump(lane, 3);
      expect(single).toMatchObject({ members: [request], reason: 'single' });
      lane.finish(single!, 'success', 3);
    }
    expect(pump(lane, 4)).toMatchObject([{ items: 3, reason: 'natural' }]);
  });
});

describe('bypass', () => {
  test('each request leaves at once and alone, past every limit and refusal, and turns back without loss', () => {
    let isBypassed = false;
    const gate = new EngineGate<Lane<Waiting>>(1);
    const { lane } = createBench(
      { batchDelayMs: 1000, batchSize: 8 },
      { gate, bypass: () => isBypassed, queueRequests: 2 },
    );
    arrive(lane, 0, 2);
    pump(lane, 0);
    isBypassed = true;
    arrive(lane, 1, 5);
    const running = pump(lane, 1);
    expect(running.map(({ items, reason }) => `${items} ${reason}`)).toEqual(
      Array.from({ length: 7 }, () => '1 single'),
    );
    expect(gate.inflight).toBe(7);
    isBypassed = false;
    arrive(lane, 2);
    lane.drain();
    expect(pump(lane, 2)).toEqual([]);
    for (const batch of running) lane.finish(batch, 'success', 3);
    expect(pump(lane, 3)).toMatchObject([{ items: 1, inflight: 1 }]);
  });
});
