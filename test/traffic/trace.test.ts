import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { collectArrivals } from '../../src/traffic/arrivals.ts';
import { createTraceArrivals, parseTrace } from '../../src/traffic/trace.ts';

describe('traces', () => {
  test('the column is found by name, other columns are ignored, and times are sorted', () => {
    expect([...parseTrace('\uFEFFtokens,arrival_s\r\n5,2.5\r\n9,0.5\r\n\r\n')]).toEqual([0.5, 2.5]);
  });

  test.each([
    ['time\n1\n', /expected a column arrival_s/],
    ['arrival_s\n1\nx\n', /line 3: .* got "x"/],
    ['arrival_s\n-1\n', /line 2/],
    ['a,arrival_s\n1\n', /line 2: .* got ""/],
    ['arrival_s\n', /at least one arrival/],
    ['', /expected a column/],
  ])('%j is refused by line', (csv, message) => {
    expect(() => parseTrace(csv)).toThrow(message);
  });

  test('a replay is sped up, cut and shifted', () => {
    const times = parseTrace('arrival_s\n0\n10\n20\n30\n40\n');
    const arrivals = createTraceArrivals(times, { speed: 10, fromS: 10, durationS: 2.5 });
    expect([...collectArrivals(arrivals)]).toEqual([0, 1, 2]);
    expect(arrivals.next()).toBeNull();
  });

  test('the whole trace is replayed where nothing is said, the last arrival included', () => {
    expect(collectArrivals(createTraceArrivals(parseTrace('arrival_s\n0\n1\n')))).toHaveLength(2);
    expect(collectArrivals(createTraceArrivals(parseTrace('arrival_s\n0\n')))).toHaveLength(1);
  });

  test('the shipped trace has 8,819 arrivals in 57 minutes', () => {
    const file = new URL('../../sidecar/lab/data/arrivals-azure-llm-code-2023.csv', import.meta.url);
    const times = parseTrace(readFileSync(file, 'utf8'));
    expect(times).toHaveLength(8819);
    expect(collectArrivals(createTraceArrivals(times, { speed: 60 })).at(-1)).toBeCloseTo(3435.948 / 60, 3);
  });
});
