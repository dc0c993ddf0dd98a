import { describe, expect, test } from 'vitest';
import { chooseAccelerator } from '../../../../src/telemetry/accelerator/choose.ts';
import type { AcceleratorSampler } from '../../../../src/telemetry/accelerator/sampler.ts';
import type { DeviceReading } from '../../../../src/core/snapshot.ts';

interface Fake extends AcceleratorSampler {
  isStarted: boolean;
  ageMs: number | null;
  errors: number;
  utilizationRatio: number | null;
}

function fake(source: string): Fake {
  const sampler: Fake = {
    source,
    isStarted: false,
    ageMs: null,
    errors: 0,
    utilizationRatio: 0.5,
    start: () => void (sampler.isStarted = true),
    devices: () =>
      sampler.ageMs === null
        ? []
        : [{ index: '0', uuid: source, utilizationRatio: sampler.utilizationRatio } as DeviceReading],
    health: () => ({ source, ageMs: sampler.ageMs, errors: sampler.errors, lastError: null }),
    stop: async () => void (sampler.isStarted = false),
  };
  return sampler;
}

function setUp() {
  let nowMs = 0;
  const [smi, dcgm, busy] = [fake('nvidia-smi'), fake('dcgm'), fake('busy')] as const;
  busy.ageMs = 0;
  const chosen = chooseAccelerator([smi, dcgm, busy], { clock: () => nowMs, staleMs: () => 1000, patienceMs: 500 });
  chosen.start();
  return { smi, dcgm, busy, chosen, advance: (ms: number) => (nowMs += ms) };
}

describe('chooseAccelerator', () => {
  test('while the first works, no other is started', () => {
    const { smi, dcgm, chosen, advance } = setUp();
    smi.ageMs = 10;
    advance(10_000);
    expect(chosen.source).toBe('nvidia-smi');
    expect(dcgm.isStarted).toBe(false);
  });

  test('a first that fails, or stays silent too long, gets the next beside it', () => {
    const failing = setUp();
    failing.smi.errors = 1;
    expect(failing.chosen.devices()).toEqual([]);
    expect(failing.dcgm.isStarted).toBe(true);
    const silent = setUp();
    expect(silent.chosen.devices()).toEqual([]);
    expect(silent.dcgm.isStarted).toBe(false);
    silent.advance(501);
    silent.chosen.devices();
    expect(silent.dcgm.isStarted).toBe(true);
  });

  test('busy time is the last resort, and is left again when a better source recovers', () => {
    const { smi, dcgm, chosen } = setUp();
    smi.errors = 1;
    dcgm.errors = 1;
    chosen.devices();
    expect(chosen.source).toBe('busy');
    dcgm.ageMs = 5;
    expect(chosen.source).toBe('dcgm');
    smi.ageMs = 5;
    expect(chosen.source).toBe('nvidia-smi');
    smi.ageMs = 1001;
    expect(chosen.source).toBe('dcgm');
  });

  test('a source without utilisation (MIG) yields to one that has it, and stands in where none has', () => {
    const { smi, dcgm, busy, chosen } = setUp();
    smi.ageMs = 5;
    smi.utilizationRatio = null;
    chosen.devices();
    dcgm.ageMs = 5;
    expect(chosen.source).toBe('dcgm');
    dcgm.utilizationRatio = null;
    busy.ageMs = null;
    expect(chosen.source).toBe('nvidia-smi');
  });

  test('health of all that were started; stop stops all', async () => {
    const { smi, dcgm, chosen } = setUp();
    smi.errors = 3;
    chosen.devices();
    expect(chosen.healths(0).map((health) => health.source)).toContain('dcgm');
    await chosen.stop();
    expect([smi.isStarted, dcgm.isStarted]).toEqual([false, false]);
  });

  test('without samplers it is off and nothing breaks', () => {
    const off = chooseAccelerator([]);
    off.start();
    expect([off.source, off.devices(), off.health(0).ageMs]).toEqual(['off', [], null]);
  });
});
