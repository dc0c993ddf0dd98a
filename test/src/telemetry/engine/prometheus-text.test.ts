import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePrometheusText } from '../../../../src/telemetry/engine/prometheus-text.ts';

const all = (text: string) =>
  parsePrometheusText(text, () => true).map(({ name, labels, value }) => ({ name, labels: { ...labels }, value }));

describe('parsePrometheusText', () => {
  test.each([
    ['a bare sample', 'up 1', { name: 'up', labels: {}, value: 1 }],
    ['labels', 'a{b="c",d="e"} 2.5', { name: 'a', labels: { b: 'c', d: 'e' }, value: 2.5 }],
    ['spaces and a trailing comma', 'a { b = "c" , } 3', null],
    ['spaces inside the braces', 'a{ b = "c" , } 3', { name: 'a', labels: { b: 'c' }, value: 3 }],
    ['escapes', 'a{b="x\\"y\\\\z\\nw"} 1', { name: 'a', labels: { b: 'x"y\\z\nw' }, value: 1 }],
    ['a brace in a label', 'a{b="}"} 1', { name: 'a', labels: { b: '}' }, value: 1 }],
    ['a timestamp', 'a 1 1700000000000', { name: 'a', labels: {}, value: 1 }],
    ['an exemplar', 'a_bucket{le="1"} 4 # {trace_id="x"} 0.2', { name: 'a_bucket', labels: { le: '1' }, value: 4 }],
    ['exponents', 'a 1.5e+3', { name: 'a', labels: {}, value: 1500 }],
    [
      'colons, as vLLM has',
      'vllm:num_requests_waiting{engine="0"} 3.0',
      { name: 'vllm:num_requests_waiting', labels: { engine: '0' }, value: 3 },
    ],
    ['infinity', 'a +Inf', { name: 'a', labels: {}, value: Number.POSITIVE_INFINITY }],
    ['an unterminated label', 'a{b="c} 1', null],
    ['no value', 'a{b="c"}', null],
    ['a word for a value', 'a one', null],
    ['a comment', '# TYPE a counter', null],
  ])('%s', (_, line, sample) => {
    expect(all(`${line}\n`)).toEqual(sample === null ? [] : [sample]);
  });

  test('a label named like a property of every object does no harm', () => {
    expect(parsePrometheusText('a{__proto__="x",constructor="y"} 1', () => true)[0]!.labels['constructor']).toBe('y');
  });

  test('bad lines are left out, the others stay; carriage returns do not matter', () => {
    expect(all('a 1\r\n???\nb{ 2\nc 3').map((sample) => sample.name)).toEqual(['a', 'c']);
  });

  test('reads back what is written, whatever the label holds', () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), (label, drawn) => {
        // A page has no sign for zero.
        const value = drawn === 0 ? 0 : drawn;
        const escaped = label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
        expect(all(`m{l="${escaped}"} ${value}\n`)).toEqual([{ name: 'm', labels: { l: label }, value }]);
      }),
    );
  });

  test('never throws, and stays linear on a hostile page', () => {
    fc.assert(fc.property(fc.string(), (text) => void all(text)));
    const startMs = performance.now();
    all(`a{b="${'\\'.repeat(200_000)}\n`.repeat(5) + `a{${'b="c",'.repeat(50_000)}`);
    all('x 1\n'.repeat(200_000));
    expect(performance.now() - startMs).toBeLessThan(2000);
  });

  test('at most 20,000 samples are kept', () => {
    expect(parsePrometheusText('x 1\n'.repeat(30_000), () => true)).toHaveLength(20_000);
  });
});
