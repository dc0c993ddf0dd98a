import { describe, expect, test } from 'vitest';
import { toDecideContext } from '../../../sidecar/decide/context.ts';
import { toModelSnapshot, toPolicy, toSnapshot } from '../../support/model-snapshot.ts';

describe('the busy share that a decision works on', () => {
  const model = toModelSnapshot({ window: { busyRatio: 0.4 } });
  const device = (utilizationRatio: number | null) => ({
    index: '0',
    uuid: 'u',
    name: null,
    utilizationRatio,
    memoryUsedBytes: null,
    memoryTotalBytes: null,
    powerWatts: null,
    temperatureCelsius: null,
    parentUuid: null,
  });
  const telemetry = (ratios: (number | null)[], ageMs: number) => ({
    devices: ratios.map(device),
    deviceSource: 'dcgm',
    host: null,
    engine: null,
    health: [{ source: 'dcgm', ageMs, errors: 0, lastError: null }],
  });

  test.each([
    { name: 'a fresh device reading', reading: telemetry([0.7, 0.9], 1000), ratio: 0.9, source: 'dcgm' },
    { name: 'a stale one: the inferred busy time', reading: telemetry([0.7], 60_000), ratio: 0.4, source: 'busy' },
    { name: 'a reading of nothing (MIG)', reading: telemetry([null], 1000), ratio: 0.4, source: 'busy' },
    { name: 'no telemetry', reading: null, ratio: 0.4, source: 'busy' },
  ])('$name', ({ reading, ratio, source }) => {
    expect(toDecideContext(model, toSnapshot([model], 0, reading), toPolicy())).toMatchObject({
      deviceBusyRatio: ratio,
      deviceSource: source,
    });
  });
});
