import { describe, expect, test } from 'vitest';
import { parseChange } from '../../src/cli/apply.ts';
import { parseSwitchCost } from '../../src/cli/emulate.ts';

describe('apply', () => {
  test('only what is named is sent', () => {
    expect(parseChange({ texts: { batch: '16' }, lists: {} })).toEqual({ batchSize: 16 });
    expect(
      parseChange({ texts: { delay: '0', concurrency: '2' }, lists: { switch: ['tensorrt=on', 'x=off'] } }),
    ).toEqual({ batchDelayMs: 0, concurrency: 2, switches: { tensorrt: true, x: false } });
  });

  test.each([
    [{}, {}, /nothing to change/],
    [{ batch: 'many' }, {}, /--batch: expected a number/],
    // Number('') is 0: a forgotten value must not become one
    [{ delay: ' ' }, {}, /--delay: expected a number/],
    [{}, { switch: ['tensorrt'] }, /NAME=on/],
  ])('%j %j is refused', (texts, lists, message) => {
    expect(parseChange({ texts, lists })).toMatch(message);
  });
});

describe('the cost of a switch', () => {
  test.each([
    ['live', { kind: 'live' }],
    ['reload:2s', { kind: 'reload', stallMs: 2000 }],
    ['reload:500ms', { kind: 'reload', stallMs: 500 }],
    ['reload', null],
    ['reload:-1s', null],
    ['restart', null],
  ])('%s', (text, cost) => {
    expect(parseSwitchCost(text)).toEqual(cost);
  });
});
