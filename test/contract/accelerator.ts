// The contract of every AcceleratorSampler, run once for each implementation.
import { describe, expect, test } from 'vitest';
import type { AcceleratorSampler } from '../../src/telemetry/accelerator/sampler.ts';

/** A sampler that works, one whose source is dead, and how to wait until each has shown it. */
export interface AcceleratorCase {
  readonly source: string;
  readonly working: () => Promise<{ sampler: AcceleratorSampler; done: () => Promise<void> }>;
  readonly dead: () => Promise<{ sampler: AcceleratorSampler; done: () => Promise<void> }>;
  /** Reason why a dead source reports no error: inferred figures have none. */
  readonly neverFails?: string;
}

const PATIENCE_MS = 8000;

export async function until(isTrue: () => boolean, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  const endMs = performance.now() + patienceMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`not within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function acceleratorContract({ source, working, dead, neverFails }: AcceleratorCase): void {
  describe(`AcceleratorSampler contract: ${source}`, () => {
    test('a working source gives devices with identity, ratios in 0..1, and an age near 0', async () => {
      const { sampler, done } = await working();
      try {
        sampler.start();
        sampler.start();
        await until(() => sampler.devices().length > 0, 'a device');
        for (const device of sampler.devices()) {
          expect(device.uuid).not.toBe('');
          expect(device.index).not.toBe('');
          if (device.utilizationRatio === null) continue;
          expect(device.utilizationRatio).toBeGreaterThanOrEqual(0);
          expect(device.utilizationRatio).toBeLessThanOrEqual(1);
        }
        const health = sampler.health(performance.now());
        expect(health.source).toBe(source);
        expect(health.ageMs).toBeLessThan(5000);
      } finally {
        await sampler.stop();
        await done();
      }
    });

    test('a dead source throws nothing, has no devices, no age, and says what is wrong', async () => {
      const { sampler, done } = await dead();
      try {
        expect(sampler.devices()).toEqual([]);
        expect(sampler.health(performance.now())).toMatchObject({ ageMs: null });
        sampler.start();
        if (neverFails === undefined) {
          await until(() => sampler.health(performance.now()).errors > 0, 'an error');
          expect(sampler.health(performance.now()).lastError).toMatch(/\w+/);
        }
        expect(sampler.devices()).toEqual([]);
        expect(sampler.health(performance.now()).ageMs).toBeNull();
      } finally {
        await sampler.stop();
        await done();
      }
    });

    test('stop resolves before start, after start, and twice; nothing starts after it', async () => {
      const { sampler, done } = await working();
      const other = await working();
      await other.sampler.stop();
      other.sampler.start();
      await other.sampler.stop();
      await other.done();
      sampler.start();
      await sampler.stop();
      await sampler.stop();
      await done();
    });
  });
}
