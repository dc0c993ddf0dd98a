// How much of a heavy suite runs: all of it on demand, a part where two cores are shared.

/** MORPHLING_TEST_SCALE, over 0 up to 1; a tenth where it is not set: the whole is for a quiet machine. */
export function readScale(fallback = 0.1): number {
  const text = process.env['MORPHLING_TEST_SCALE'];
  const scale = text === undefined ? fallback : Number(text);
  if (!(scale > 0 && scale <= 1)) throw new Error(`MORPHLING_TEST_SCALE is a number over 0 up to 1, not ${text}`);
  return scale;
}

/** So many of `count`, at least one. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** Prints the one line by which a suite is read in a log. */
export function printFigure(suite: string, figures: Readonly<Record<string, string | number>>): void {
  const words = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`[${suite}] ${words.join(', ')}\n`);
}

/** The value below which `quantile` of the values lie; 0 for none. */
export function toQuantile(values: readonly number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * quantile) - 1)] ?? 0;
}
