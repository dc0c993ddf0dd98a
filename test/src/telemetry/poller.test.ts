import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Poller } from '../../../src/telemetry/poller.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('Poller', () => {
  test('asks at its interval, and backs off while it fails', async () => {
    let asked = 0;
    let isBroken = false;
    const poller = new Poller({
      source: 's',
      intervalMs: () => 100,
      mostPauseMs: 800,
      poll: async () => {
        asked += 1;
        if (isBroken) throw new Error('broken');
      },
    });
    poller.start();
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toBe(11);
    isBroken = true;
    await vi.advanceTimersByTimeAsync(100);
    asked = 0;
    await vi.advanceTimersByTimeAsync(3200);
    expect(asked).toBeLessThanOrEqual(6);
    expect(poller.health(performance.now())).toMatchObject({ lastError: 'broken' });
    await poller.stop();
    asked = 0;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toBe(0);
  });

  test('never two questions at once', async () => {
    let open = 0;
    let most = 0;
    const poller = new Poller({
      source: 's',
      intervalMs: () => 10,
      poll: async () => {
        most = Math.max(most, (open += 1));
        await new Promise((resolve) => setTimeout(resolve, 95));
        open -= 1;
      },
    });
    poller.start();
    await vi.advanceTimersByTimeAsync(1000);
    expect(most).toBe(1);
    const stopped = poller.stop();
    await vi.advanceTimersByTimeAsync(100);
    await stopped;
    expect(open).toBe(0);
  });
});
