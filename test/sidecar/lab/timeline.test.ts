import { expect, test } from 'vitest';
import { toCutsMs, toTimeline } from '../../../sidecar/lab/timeline.ts';

test('the warm-up, the interval after a jump, and the rest, each in its stretch', () => {
  const pieces = toTimeline({
    stretchStartsMs: [0, 100, 200],
    jumpsMs: [100, 195],
    intervalMs: 10,
    durationMs: 300,
  });
  expect(pieces).toEqual([
    { fromMs: 0, toMs: 30, stretch: 0, kind: 'warm-up' },
    { fromMs: 30, toMs: 100, stretch: 0, kind: 'scored' },
    { fromMs: 100, toMs: 110, stretch: 1, kind: 'excused' },
    { fromMs: 110, toMs: 195, stretch: 1, kind: 'scored' },
    // A jump's interval that reaches into the next stretch is excused in both.
    { fromMs: 195, toMs: 200, stretch: 1, kind: 'excused' },
    { fromMs: 200, toMs: 205, stretch: 2, kind: 'excused' },
    { fromMs: 205, toMs: Infinity, stretch: 2, kind: 'scored' },
  ]);
  expect(toCutsMs(pieces)).toEqual([30, 100, 110, 195, 200, 205]);
});

test('a jump during the warm-up is warm-up; what would begin after the run is left out', () => {
  const pieces = toTimeline({ stretchStartsMs: [0], jumpsMs: [25, 95], intervalMs: 10, durationMs: 100 });
  expect(pieces.map(({ fromMs, kind }) => [fromMs, kind])).toEqual([
    [0, 'warm-up'],
    [25, 'warm-up'],
    [30, 'excused'],
    [35, 'scored'],
    [95, 'excused'],
  ]);
});
