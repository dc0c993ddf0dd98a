import { describe, expect, test } from 'vitest';
import type { Batch, Lane, Step } from '../../../sidecar/proxy/waiting.ts';
import { createTally, type Job, runSchedule, Violation, type Wrap } from './schedule.ts';

const SCHEDULES = 100_000;
/** Another start explores other schedules: `SCHEDULE_SEED=12345 vitest run ...`. */
const FIRST_SEED = Number(process.env['SCHEDULE_SEED'] ?? 1);

test(`${SCHEDULES} random schedules break no law`, { timeout: 120_000 }, () => {
  const tally = createTally();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) runSchedule(seed, tally);
  expect(tally.schedules).toBe(SCHEDULES);
  // They were no empty talk: everything that can happen happened often.
  expect(tally.requests).toBeGreaterThan(10 * SCHEDULES);
  for (const count of [
    tally.batches,
    tally.joined,
    tally.expired,
    tally.shed,
    tally.cancelled,
    tally.resent,
    tally.bypassed,
  ])
    expect(count).toBeGreaterThan(SCHEDULES / 10);
  for (const reason of ['full', 'timeout', 'natural', 'single', 'drain'])
    expect(tally.reasons[reason]).toBeGreaterThan(SCHEDULES / 10);
});

/** A lane that is right but for what `broken` replaces. */
function breakLane(broken: (inner: Lane<Job>) => Partial<Lane<Job>>): Wrap {
  return (inner) => {
    const parts = broken(inner);
    return {
      arrive: parts.arrive ?? ((request, nowMs) => inner.arrive(request, nowMs)),
      next: parts.next ?? ((nowMs) => inner.next(nowMs)),
      finish: parts.finish ?? ((batch, ending, nowMs) => inner.finish(batch, ending, nowMs)),
      cancel: parts.cancel ?? ((request) => inner.cancel(request)),
      resend: parts.resend ?? ((request, nowMs) => inner.resend(request, nowMs)),
      drain: parts.drain ?? (() => inner.drain()),
      close: parts.close ?? (() => inner.close()),
      get queuedRequests() {
        return inner.queuedRequests;
      },
      get queuedItems() {
        return inner.queuedItems;
      },
      get inflight() {
        return inner.inflight;
      },
      get oldestArrivedMs() {
        return inner.oldestArrivedMs;
      },
    };
  };
}

/** Changes the batches that go out; the inner lane gets its own back. */
function changeBatches(change: (batch: Batch<Job>) => Batch<Job>): Wrap {
  return breakLane((inner) => {
    const originals = new Map<Batch<Job>, Batch<Job>>();
    return {
      next(nowMs): Step<Job> {
        const step = inner.next(nowMs);
        if (step.kind !== 'dispatch') return step;
        const batch = change(step.batch);
        originals.set(batch, step.batch);
        return { kind: 'dispatch', batch };
      },
      finish: (batch, ending, nowMs) => inner.finish(originals.get(batch) ?? batch, ending, nowMs),
    };
  });
}

function copyBatch(batch: Batch<Job>, fields: Partial<Batch<Job>>): Batch<Job> {
  const { members, items, reason, startedMs, inflight, inflightAll, generation } = batch;
  return { members, items, reason, startedMs, inflight, inflightAll, generation, ...fields };
}

const mutants: readonly { readonly name: string; readonly wrap: Wrap }[] = [
  {
    name: 'sends a batch twice',
    wrap: breakLane((inner) => {
      let last: Batch<Job> | null = null;
      return {
        next(nowMs) {
          if (last !== null) {
            const batch = last;
            last = null;
            return { kind: 'dispatch', batch };
          }
          const step = inner.next(nowMs);
          if (step.kind === 'dispatch') last = step.batch;
          return step;
        },
      };
    }),
  },
  {
    name: 'loses the last member of a batch',
    wrap: changeBatches((batch) =>
      batch.members.length < 2
        ? batch
        : copyBatch(batch, { members: batch.members.slice(0, -1), items: batch.items - batch.members.at(-1)!.items }),
    ),
  },
  {
    name: 'turns the order round',
    wrap: changeBatches((batch) => copyBatch(batch, { members: [...batch.members].reverse() })),
  },
  { name: 'miscounts the items', wrap: changeBatches((batch) => copyBatch(batch, { items: batch.items + 1 })) },
  { name: 'says full for every batch', wrap: changeBatches((batch) => copyBatch(batch, { reason: 'full' })) },
  { name: 'keeps old settings', wrap: changeBatches((batch) => copyBatch(batch, { generation: 1 })) },
  { name: 'loses the end of a call', wrap: breakLane(() => ({ finish: () => {} })) },
  {
    name: 'gives the place back when the batch leaves',
    wrap: breakLane((inner) => ({
      next(nowMs) {
        const step = inner.next(nowMs);
        if (step.kind === 'dispatch') inner.finish(step.batch, 'success', nowMs);
        return step;
      },
    })),
  },
  {
    name: 'oversleeps',
    wrap: breakLane((inner) => ({
      next(nowMs) {
        const step = inner.next(nowMs);
        return step.kind === 'wait' ? { kind: 'wait', untilMs: step.untilMs + 2 } : step;
      },
    })),
  },
  {
    name: 'says idle where it should say wait',
    wrap: breakLane((inner) => ({
      next(nowMs) {
        const step = inner.next(nowMs);
        return step.kind === 'wait' ? { kind: 'idle' } : step;
      },
    })),
  },
  {
    name: 'asks to be woken at once for ever',
    wrap: breakLane((inner) => ({
      next(nowMs) {
        const step = inner.next(nowMs);
        return step.kind === 'wait' ? { kind: 'wait', untilMs: nowMs } : step;
      },
    })),
  },
  { name: 'says cancelled and keeps it', wrap: breakLane(() => ({ cancel: () => true })) },
  {
    name: 'cancels and denies it',
    wrap: breakLane((inner) => ({
      cancel(request) {
        inner.cancel(request);
        return false;
      },
    })),
  },
  {
    name: 'takes what it sheds',
    wrap: breakLane((inner) => ({
      arrive(request, nowMs) {
        inner.arrive(request, nowMs);
        return { kind: 'shed', reason: 'late', retryAfterMs: 1000 };
      },
    })),
  },
  {
    name: 'settles the expired twice',
    wrap: breakLane((inner) => ({
      next(nowMs) {
        const step = inner.next(nowMs);
        return step.kind === 'expired' ? { kind: 'expired', requests: [...step.requests, ...step.requests] } : step;
      },
    })),
  },
  { name: 'ignores a drain', wrap: breakLane(() => ({ drain: () => {} })) },
  { name: 'drops what is to be sent again', wrap: breakLane(() => ({ resend: () => {} })) },
  { name: 'stays open', wrap: breakLane(() => ({ close: () => {} })) },
  {
    name: 'takes a place only every other time it is asked',
    wrap: breakLane((inner) => {
      let asked = 0;
      return { next: (nowMs) => (asked++ % 2 === 0 ? inner.next(nowMs) : { kind: 'idle' }) };
    }),
  },
];

describe('the checker catches a lane that', () => {
  test.each(mutants)('$name', ({ wrap }) => {
    const caught = (): void => {
      for (let seed = 1; seed <= 2000; seed++) runSchedule(seed, createTally(), wrap);
    };
    expect(caught).toThrow(Violation);
  });
});
