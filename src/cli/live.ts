// A frame that is redrawn in place on a terminal, and the small drawings in it.
import type { Output } from './output.ts';

/** Redraws; `end` leaves the last frame on the screen and the cursor below it. */
export interface LiveFrame {
  draw(lines: readonly string[]): void;
  end(): void;
}

/** Only for `output.isLive`: it moves the cursor. Lines longer than the terminal are cut, else the frame would smear. */
export function createLiveFrame(output: Output): LiveFrame {
  let drawn = 0;
  return {
    draw(lines) {
      const cut = lines.slice(0, Math.max(1, output.rows - 1)).map((line) => cutVisible(line, output.columns));
      const up = drawn === 0 ? '\u001B[?25l' : `\u001B[${drawn}A`;
      // Erase after each line and below the frame: no flicker, and no rest of a longer frame.
      output.write(`${up}\r${cut.map((line) => `${line}\u001B[K\n`).join('')}\u001B[J`);
      drawn = cut.length;
    },
    end() {
      if (drawn > 0) output.write('\u001B[?25h');
      drawn = 0;
    },
  };
}

const BARS = '▁▂▃▄▅▆▇█'.split('');

/** The newest `width` values as bars from 0 to the largest of them; a missing value is a blank. */
export function sparkline(values: readonly (number | null)[], width: number): string {
  const shown = values.slice(-width);
  const max = Math.max(...shown.map((value) => value ?? 0));
  return shown
    .map((value) => {
      if (value === null) return ' ';
      return BARS[max === 0 ? 0 : Math.min(BARS.length - 1, Math.floor((value / max) * BARS.length))] ?? ' ';
    })
    .join('')
    .padStart(width);
}

/** `[█████░░░░░]` */
export function progressBar(ratio: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, ratio)) * width);
  return `[${'█'.repeat(filled)}${'░'.repeat(width - filled)}]`;
}

function cutVisible(line: string, columns: number): string {
  let visible = 0;
  let cut = '';
  // Colour codes have no width and must not be cut in two.
  // oxlint-disable-next-line no-control-regex -- colour codes are what it is for
  for (const [part] of line.matchAll(/\u001B\[[\d;]*m|[\s\S]/gu)) {
    if (part.startsWith('\u001B')) cut += part;
    else if (visible++ < columns) cut += part;
  }
  return cut;
}
