import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LineSplitter } from '../../../../src/telemetry/accelerator/line-splitter.ts';

function split(chunks: readonly Uint8Array[], mostChars = 100): (string | null)[] {
  const lines: (string | null)[] = [];
  const splitter = new LineSplitter(mostChars, (line) => lines.push(line));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

describe('LineSplitter', () => {
  test('gives the same lines however the bytes are cut, even inside a character', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 20 })), fc.array(fc.nat(200)), (texts, cuts) => {
        const lines = texts.map((text) => `é${text.replaceAll(/[\r\n]/g, ' ')}`);
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length];
        expect(split(at.slice(1).map((end, i) => bytes.subarray(at[i], end)))).toEqual(lines);
      }),
    );
  });

  test('a line without end is dropped in bounded memory and told as null; the next is whole again', () => {
    const flood = Buffer.alloc(64 * 1024, 'x');
    expect(split([...Array.from({ length: 160 }, () => flood), Buffer.from('\nrow\n')])).toEqual([null, 'row']);
  });

  test('the last line needs no line end', () => {
    expect(split([Buffer.from('a\nb')])).toEqual(['a', 'b']);
  });
});
