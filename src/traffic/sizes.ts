// How large requests are: items along the first dimension, or bytes of a body.
import type { Issue } from '../core/errors.ts';
import type { Random } from '../core/random.ts';

/** A distribution of whole numbers >= 1. */
export type Sizes =
  | { readonly kind: 'constant'; readonly size: number }
  | { readonly kind: 'uniform'; readonly min: number; readonly max: number }
  | { readonly kind: 'lognormal'; readonly median: number; readonly p99: number };

/** How each kind is written. */
const SIZE_FORMS: readonly string[] = ['N', 'uniform:MIN..MAX', 'lognormal:MEDIAN/P99'];

/** z of the standard normal's 99th percentile. */
const Z99 = 2.3263478740408408;

/** Reads `8`, `uniform:1..16` or `lognormal:512/8192`. */
export function parseSizes(text: string): Sizes | Issue {
  const single = /^(\d+)$/.exec(text);
  if (single !== null && Number(text) >= 1) return { kind: 'constant', size: Number(text) };
  const uniform = /^uniform:(\d+)\.\.(\d+)$/.exec(text);
  if (uniform !== null) {
    const [min, max] = [Number(uniform[1]), Number(uniform[2])];
    if (min >= 1 && min <= max) return { kind: 'uniform', min, max };
  }
  const lognormal = /^lognormal:(\d+)\/(\d+)$/.exec(text);
  if (lognormal !== null) {
    const [median, p99] = [Number(lognormal[1]), Number(lognormal[2])];
    if (median >= 1 && median <= p99) return { kind: 'lognormal', median, p99 };
  }
  return { field: 'sizes', expected: `${SIZE_FORMS.join(' or ')}, whole numbers from 1 up`, got: JSON.stringify(text) };
}

/** The mean in items or bytes, for plans; of the continuous law where sizes are rounded. */
export function meanSize(sizes: Sizes): number {
  switch (sizes.kind) {
    case 'constant':
      return sizes.size;
    case 'uniform':
      return (sizes.min + sizes.max) / 2;
    case 'lognormal':
      return sizes.median * Math.exp(sigmaOf(sizes.median, sizes.p99) ** 2 / 2);
  }
}

/** A draw a call: a whole number >= 1. */
export function createSizes(sizes: Sizes, random: Random): () => number {
  switch (sizes.kind) {
    case 'constant':
      return () => sizes.size;
    case 'uniform':
      return () => sizes.min + random.int(sizes.max - sizes.min + 1);
    case 'lognormal': {
      const sigma = sigmaOf(sizes.median, sizes.p99);
      return () => Math.max(1, Math.round(sizes.median * Math.exp(sigma * random.normal())));
    }
  }
}

function sigmaOf(median: number, p99: number): number {
  return Math.log(p99 / median) / Z99;
}
