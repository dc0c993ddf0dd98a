// Interleaved rounds: every subject once a round, in an order drawn anew, so that drift and neighbours hit all alike.
import { createRandom } from '../../src/core/random.ts';
import type { Spread } from './question.ts';

/** Figures of one measurement by name. */
export type Sample = Readonly<Record<string, number>>;

/** Samples by subject, in the order of the rounds. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

/**
 * Measures each subject once a round. One round more runs first and is thrown away: compilers and caches are cold
 * in it.
 */
export async function runRounds(
  subjects: readonly string[],
  options: { readonly rounds: number; readonly seed: number; readonly say: (line: string) => void },
  measure: (subject: string) => Promise<Sample>,
): Promise<Samples> {
  const random = createRandom(options.seed);
  const samples = new Map<string, Sample[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round <= options.rounds; round += 1) {
    const order = subjects.map((subject) => ({ subject, key: random.next() })).sort((a, b) => a.key - b.key);
    for (const { subject } of order) {
      const sample = await measure(subject);
      const figures = Object.entries(sample).map(([name, value]) => `${name} ${toText(value)}`);
      options.say(`${round === 0 ? 'warm-up' : `round ${round}`}  ${subject}: ${figures.join(', ')}`);
      if (round > 0) samples.get(subject)?.push(sample);
    }
  }
  return samples;
}

export function toSpread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** All figures of a subject. */
export function toCells(samples: Samples, subject: string): Record<string, Spread> {
  const rows = samples.get(subject) ?? [];
  return Object.fromEntries(
    Object.keys(rows[0] ?? {}).map((name) => [name, toSpread(rows.map((row) => row[name] ?? Number.NaN))]),
  );
}

/** One subject's figure set against another's within each round. */
export function compare(
  samples: Samples,
  name: string,
  [subject, other]: readonly [string, string],
  by: (a: number, b: number) => number,
): Spread {
  const others = samples.get(other) ?? [];
  const own = samples.get(subject) ?? [];
  return toSpread(own.map((sample, round) => by(sample[name] ?? Number.NaN, others[round]?.[name] ?? Number.NaN)));
}

export const ratio = (a: number, b: number): number => a / b;
export const difference = (a: number, b: number): number => a - b;

/** Three digits, as much as such figures can carry. */
export function toText(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : 2);
}
