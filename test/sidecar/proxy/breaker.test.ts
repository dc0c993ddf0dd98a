// The breaker before one server: opened by refused connections, closed by nothing but the server itself.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Breaker } from '../../../sidecar/proxy/breaker.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Setup {
  readonly breaker: Breaker;
  readonly changes: boolean[];
  /** When each probe was sent, ms. */
  readonly probes: number[];
  isThere: boolean;
}

function setUp(): Setup {
  const changes: boolean[] = [];
  const probes: number[] = [];
  const startMs = Date.now();
  const setup: Setup = {
    breaker: new Breaker(
      async () => {
        probes.push(Date.now() - startMs);
        return setup.isThere;
      },
      (isOpen) => changes.push(isOpen),
    ),
    changes,
    probes,
    isThere: false,
  };
  return setup;
}

const refuse = (breaker: Breaker, times: number): void => {
  for (let i = 0; i < times; i++) breaker.refused();
};

test('a few refused connections among good ones do not open it', () => {
  const { breaker, changes } = setUp();
  for (let i = 0; i < 100; i++) {
    refuse(breaker, 4);
    breaker.connected();
  }
  expect([breaker.isOpen, changes]).toEqual([false, []]);
});

test('five in a row open it, and it stays open for as long as the server is away, asked four times a second at most', async () => {
  const setup = setUp();
  refuse(setup.breaker, 5);
  expect(setup.breaker.isOpen).toBe(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(setup.breaker.isOpen).toBe(true);
  expect(setup.probes.slice(0, 5)).toEqual([50, 150, 350, 600, 850]);
  expect(setup.probes.length).toBeLessThan(4 * 60 + 5);
  expect(setup.changes).toEqual([true]);
});

test('the server is found within a quarter of a second of its return, without a caller having to try', async () => {
  const setup = setUp();
  refuse(setup.breaker, 5);
  await vi.advanceTimersByTimeAsync(10_017);
  setup.isThere = true;
  await vi.advanceTimersByTimeAsync(250);
  expect(setup.breaker.isOpen).toBe(false);
  expect(setup.changes).toEqual([true, false]);
  const asked = setup.probes.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(setup.probes.length).toBe(asked);
  // It opens again as it did the first time.
  refuse(setup.breaker, 4);
  expect(setup.breaker.isOpen).toBe(false);
  refuse(setup.breaker, 1);
  expect(setup.breaker.isOpen).toBe(true);
});

test('a call that was on its way and is connected closes it at once', () => {
  const { breaker, changes } = setUp();
  refuse(breaker, 7);
  breaker.connected();
  expect([breaker.isOpen, changes]).toEqual([false, [true, false]]);
});

test('stopped, it asks no more', async () => {
  const { breaker, probes } = setUp();
  refuse(breaker, 5);
  breaker.stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(probes).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
