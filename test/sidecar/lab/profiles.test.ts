import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCurve, findProfile, parseProfiles } from '../../../sidecar/lab/profiles.ts';

const csv = readFileSync(join(import.meta.dirname, '../../../sidecar/lab/data/gpu-latency-profiles.csv'), 'utf8');
const profiles = parseProfiles(csv);

describe('profile file', () => {
  test('the shipped file holds 103 curves that start at batch 1 and ascend', () => {
    expect(profiles.length).toBe(103);
    for (const { points } of profiles) {
      expect(points[0]?.items).toBe(1);
      expect(points.map((point) => point.items)).toEqual(points.map((point) => point.items).toSorted((a, b) => a - b));
    }
  });

  test('columns may come in any order, further columns and a byte order mark are passed over', () => {
    const text = '\uFEFFbatch,latency_ms,model,note,gpu,precision,framework\r\n4,20,m,x,g,p,f\r\n1,10,m,,g,p,f\r\n';
    expect(parseProfiles(text)).toEqual([
      {
        id: 'm|g|p|f',
        model: 'm',
        gpu: 'g',
        precision: 'p',
        framework: 'f',
        points: [
          { items: 1, latencyMs: 10 },
          { items: 4, latencyMs: 20 },
        ],
      },
    ]);
  });

  test.each([
    ['', /missing model, gpu/],
    ['model,gpu,precision,framework,batch,latency_ms\n', /line 2: expected a profile/],
    ['model,gpu,precision,framework,batch,latency_ms\nm,g,p,f,0,5', /line 2: expected a whole batch >= 1, got 0/],
    ['model,gpu,precision,framework,batch,latency_ms\nm,g,p,f,1,-5\nm,g,p,f,x,5', /line 2.*-5; line 3.*got x/],
    ['model,gpu,precision,framework,batch,latency_ms\nm,g,p,f,1,5\nm,g,p,f,1,6', /line 3: expected batch 1.*once/],
    ['model,gpu,precision,framework,batch,latency_ms\nm,g,p', /line 2: expected 6 cells, got 3/],
  ])('a bad file is refused with the line, what was expected and what came (%#)', (text, words) => {
    expect(() => parseProfiles(text)).toThrow(words);
  });

  test('a profile is found whatever its case and blanks', () => {
    expect(findProfile(profiles, ' resnet-50-v1.5 | a100-80gb|amp-fp16|mxnet ').gpu).toBe('A100-80GB');
  });

  test('an unknown id names the nearest ones: the right model first', () => {
    expect(() => findProfile(profiles, 'ResNet-50-v1.5|A100|FP16|MxNet')).toThrow(
      /nearest: 'ResNet-50-v1\.5\|A100-80GB/,
    );
    expect(() => findProfile([], 'x')).toThrow(/holds none/);
  });
});

describe('latency curve', () => {
  test('goes through its points, log-log between them, end slope above, first point below', () => {
    const curve = createCurve([
      { items: 4, latencyMs: 20 },
      { items: 1, latencyMs: 10 },
      { items: 16, latencyMs: 80 },
    ]);
    expect(curve.latencyMs(1)).toBe(10);
    expect(curve.latencyMs(4)).toBeCloseTo(20, 10);
    expect(curve.latencyMs(2)).toBeCloseTo(10 * Math.SQRT2, 10); // slope 1/2
    expect(curve.latencyMs(8)).toBeCloseTo(40, 10); // slope 1
    expect(curve.latencyMs(64)).toBeCloseTo(320, 8);
    expect(curve.latencyMs(640)).toBeCloseTo(3200, 7);
    expect(
      createCurve([
        { items: 8, latencyMs: 5 },
        { items: 16, latencyMs: 9 },
      ]).latencyMs(2),
    ).toBe(5);
  });

  test('the peak is the best whole size of 1..64, found by looking at each', () => {
    for (const { points } of profiles) {
      const curve = createCurve(points);
      const rates = Array.from({ length: 64 }, (_, index) => (index + 1) / curve.latencyMs(index + 1));
      expect(curve.peakItemsPerMs).toBe(Math.max(...rates));
      expect(rates[curve.peakItems - 1]).toBe(curve.peakItemsPerMs);
    }
  });

  test('a demand is in (0, 1] at every size, and 1 at the peak', () => {
    fc.assert(
      fc.property(fc.constantFrom(...profiles), fc.integer({ min: 1, max: 4096 }), ({ points }, items) => {
        const curve = createCurve(points);
        expect(curve.demand(items)).toBeGreaterThan(0);
        expect(curve.demand(items)).toBeLessThanOrEqual(1);
        expect(curve.demand(curve.peakItems)).toBeCloseTo(1, 12);
      }),
    );
  });
});
