import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatWorkload, isIssue, parseWorkload, WORKLOAD_FORMS, type Workload } from '../../src/traffic/workload.ts';

const perS = (value: number) => ({ kind: 'perS', perS: value }) as const;
const ofPeak = (ratio: number) => ({ kind: 'ofPeak', ratio }) as const;

const good: [text: string, workload: Workload][] = [
  ['constant:50', { kind: 'constant', rate: perS(50) }],
  ['poisson:80%', { kind: 'poisson', rate: ofPeak(0.8) }],
  // a step to nothing is a real load: a night
  [
    'steps:10@0,0@60',
    {
      kind: 'steps',
      steps: [
        { rate: perS(10), atS: 0 },
        { rate: perS(0), atS: 60 },
      ],
    },
  ],
  ['ramp:0..90%', { kind: 'ramp', from: perS(0), to: ofPeak(0.9) }],
  ['ramp:90..10', { kind: 'ramp', from: perS(90), to: perS(10) }],
  ['sine:10..100/60', { kind: 'sine', low: perS(10), high: perS(100), periodS: 60 }],
  ['burst:5/50/2.5/10', { kind: 'burst', low: perS(5), high: perS(50), meanOnS: 2.5, meanOffS: 10 }],
  ['flash:20%/95%@30/10', { kind: 'flash', base: ofPeak(0.2), peak: ofPeak(0.95), atS: 30, lengthS: 10 }],
];

describe('workload grammar', () => {
  test.each(good)('%s is read as written', (text, workload) => {
    expect(parseWorkload(text)).toEqual(workload);
    expect(formatWorkload(workload)).toBe(text);
  });

  test.each([
    ['', 'one of constant:R'],
    ['sin:1..2/3', 'one of constant:R'],
    // a name every object inherits is not a kind
    ['toString:1', 'one of constant:R'],
    ['constant', 'constant:R'],
    ['constant:0', 'above 0'],
    ['constant:-5', 'constant:R'],
    ['constant: 5', 'constant:R'],
    ['constant:0x10', 'constant:R'],
    ['constant:Infinity', 'constant:R'],
    ['constant:1e999', 'constant:R'],
    ['steps:10@5,20@10', 'the first 0'],
    ['steps:10@0,20@10,30@10', 'rising'],
    ['steps:0@0,0@10', 'steps:R1@T1'],
    ['steps:10@0@1', 'steps:R1@T1'],
    ['ramp:10', 'ramp:R1..R2'],
    ['sine:100..10/60', 'LOW not above HIGH'],
    ['sine:10..100/0', 'above 0'],
    ['burst:50/5/1/1', 'LOW not above HIGH'],
    ['burst:5/50/1', 'burst:LOW/HIGH'],
    ['flash:10/50@0/5', 'above 0'],
    ['flash:10/50/5', 'flash:BASE/PEAK'],
  ])('%j is refused with the form it should have', (text, expected) => {
    const parsed = parseWorkload(text);
    if (!isIssue(parsed)) throw new Error('was accepted');
    expect(parsed.field).toBe('workload');
    expect(parsed.expected).toContain(expected);
  });

  test('no text makes the parser throw, and what it accepts survives a round trip', () => {
    const kinds = fc.constantFrom(...Object.keys(WORKLOAD_FORMS), 'x');
    const body = fc.oneof(fc.string({ unit: fc.constantFrom(...'0123456789./@,%e-'.split('')) }), fc.string());
    fc.assert(
      fc.property(kinds, body, (kind, rest) => {
        const parsed = parseWorkload(`${kind}:${rest}`);
        if (!isIssue(parsed)) expect(parseWorkload(formatWorkload(parsed))).toEqual(parsed);
      }),
      { numRuns: 500 },
    );
  });

  test('a very long text is quoted short', () => {
    const parsed = parseWorkload('x'.repeat(10_000));
    if (!isIssue(parsed)) throw new Error('was accepted');
    expect(parsed.got.length).toBeLessThan(100);
  });
});
