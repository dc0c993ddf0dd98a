import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MorphlingError } from '../../src/core/errors.ts';
import { createLogger, formatLine, type LogLevel } from '../../src/core/log.ts';

function capture(level: LogLevel = 'debug', maxLinesPerS = 200) {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const log = createLogger({ level, write: (line) => lines.push(line), nowMs: () => clock.ms, maxLinesPerS });
  return { lines, clock, log, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('log lines', () => {
  test('a line is one JSON object with time, level, message and fields', () => {
    const { log, parsed } = capture();
    log.with({ process: 'data' }).info('listening', { port: 8080 });
    expect(parsed()).toEqual([
      { time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'listening', process: 'data', port: 8080 },
    ]);
  });

  test('lines below the level are dropped', () => {
    const { log, lines } = capture('warn');
    log.info('no');
    log.error('yes');
    expect(lines).toHaveLength(1);
  });

  test('whatever a caller sends, a line stays one line of printable text and parses back', () => {
    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/;
    // Any 16-bit units, lone surrogates too.
    const text = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) });
    fc.assert(
      fc.property(text, text, (message, value) => {
        const line = formatLine(0, 'info', message, { value });
        expect(unsafe.test(line.slice(0, -1))).toBe(false);
        expect(line.endsWith('\n')).toBe(true);
        expect((JSON.parse(line) as { message: string }).message.slice(0, 100)).toBe(message.slice(0, 100));
      }),
    );
  });

  test('secrets are masked by name at any depth, and our own fields cannot be overwritten', () => {
    const line = formatLine(0, 'info', 'x', {
      Authorization: 'Bearer k',
      level: 'error',
      deep: { cookie: 'k', ok: 1 },
    });
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      Authorization: '[masked]',
      deep: { cookie: '[masked]', ok: 1 },
    });
  });

  test('values that JSON cannot hold do not throw', () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const line = formatLine(0, 'info', 'x', { cyclic, big: 1n, error: new MorphlingError('TIMED_OUT', 'late') });
    expect(JSON.parse(line)).toMatchObject({
      cyclic: '[not printable]',
      big: '1',
      error: { message: 'late', code: 'TIMED_OUT' },
    });
  });

  test('long values are cut and say how long they were', () => {
    expect(formatLine(0, 'info', 'x'.repeat(1e6), {}).length).toBeLessThan(1300);
  });

  test('a flood is counted instead of written', () => {
    const { log, lines, clock, parsed } = capture('info', 3);
    for (let i = 0; i < 10; i++) log.info('again');
    expect(lines).toHaveLength(3);
    clock.ms = 1000;
    log.info('later');
    expect(parsed()[3]).toMatchObject({ level: 'warn', lines: 7 });
  });
});
