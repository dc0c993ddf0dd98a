import { describe, expect, test } from 'vitest';
import { createLiveFrame, progressBar, sparkline } from '../../src/cli/live.ts';
import { createOutput } from '../../src/cli/output.ts';

describe('live frames', () => {
  function open(columns: number, rows: number) {
    let text = '';
    const stdout = { isTTY: true, columns, rows, write: (part: string) => (text += part) };
    const output = createOutput({ stdout, stderr: stdout, env: {} });
    return { frame: createLiveFrame(output), style: output.style, take: () => [text, (text = '')][0] ?? '' };
  }

  test('a second frame is drawn over the first, and the cursor comes back at the end', () => {
    const { frame, take } = open(80, 24);
    frame.draw(['a', 'b']);
    expect(take()).toBe('\u001B[?25l\ra\u001B[K\nb\u001B[K\n\u001B[J');
    frame.draw(['c']);
    expect(take()).toBe('\u001B[2A\rc\u001B[K\n\u001B[J');
    frame.end();
    frame.end();
    expect(take()).toBe('\u001B[?25h');
  });

  test('a line wider than the terminal is cut by what is seen, not by its codes', () => {
    const { frame, style, take } = open(4, 24);
    frame.draw([style.red('abcdef')]);
    expect(take()).toContain('\u001B[31mabcd\u001B[39m\u001B[K');
  });

  test('a frame taller than the terminal keeps its head', () => {
    const { frame, take } = open(80, 3);
    frame.draw(['a', 'b', 'c', 'd']);
    expect(take()).not.toContain('c');
  });

  test('a sparkline goes from 0 to its largest value, blanks where nothing is known', () => {
    expect(sparkline([0, 4, 8, null], 6)).toBe('  ▁▅█ ');
    expect(sparkline([0, 0], 2)).toBe('▁▁');
    expect(sparkline([1, 2, 3, 4], 2)).toHaveLength(2);
  });

  test('a progress bar stays inside its ends', () => {
    expect(progressBar(0.5, 4)).toBe('[██░░]');
    expect(progressBar(7, 4)).toBe('[████]');
    expect(progressBar(-1, 4)).toBe('[░░░░]');
  });
});
