// What a bench asks and what it answers: the form that `run.ts` prints and keeps.
import type { Tool } from '../support/peers/tools.ts';
import type { Build } from '../support/peers/built-agent.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A line of the table. */
export interface Row {
  readonly subject: string;
  readonly cells: Readonly<Record<string, Spread>>;
}

/** A goal and what came of it. */
export interface Verdict {
  readonly goal: string;
  /** Taken within each round, so that a noisy machine bends both sides alike. */
  readonly measured: Spread;
  readonly limit: number;
  readonly isMet: boolean;
}

export interface Answer {
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** What a reader must know to judge the figures, and what was left out. */
  readonly notes: readonly string[];
  /** Versions of what was measured against. */
  readonly versions: Readonly<Record<string, string>>;
}

/** What every question is handed. */
export interface Bench {
  readonly build: Build;
  readonly tools: Tool;
  /** A folder that goes afterwards. */
  readonly folder: string;
  readonly rounds: number;
  /** Of one measurement. */
  readonly durationS: number;
  readonly seed: number;
  /** Processor of the process under test, and of everything else; undefined on a machine with one. */
  readonly cpu: { readonly subject: number; readonly others: number } | undefined;
  /** Progress, a line at a time. */
  readonly say: (line: string) => void;
}

export interface Question {
  readonly name: string;
  readonly question: string;
  /** Seconds of one measurement where nothing is said. */
  readonly durationS: number;
  answer(bench: Bench): Promise<Answer>;
}

/** Met when the median is not above the limit. */
export function toVerdict(goal: string, measured: Spread, limit: number): Verdict {
  return { goal, measured, limit, isMet: measured.median <= limit };
}
