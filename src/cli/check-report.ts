// The report of `morphling check`: categories, one line a check, a hint where something is wrong.
import type { Style } from './output.ts';

/** linkerd's three results: a warning does not fail the whole. */
type CheckOutcome = 'success' | 'warning' | 'error';

/** One line. */
export interface CheckResult {
  /** What should be true: `control port answers`. */
  readonly description: string;
  readonly result: CheckOutcome;
  /** What was found instead; with warning and error. */
  readonly error?: string;
  /** What to do about it. */
  readonly hint?: string;
}

export interface CheckCategory {
  readonly categoryName: string;
  readonly checks: readonly CheckResult[];
}

/** One JSON document in every state, in linkerd's shape. */
export interface CheckReport {
  readonly success: boolean;
  readonly categories: readonly CheckCategory[];
}

export function toReport(categories: readonly CheckCategory[]): CheckReport {
  return { success: categories.every(({ checks }) => checks.every(({ result }) => result !== 'error')), categories };
}

/** Quiet where all is well, loud where it is not. */
export function formatReport(report: CheckReport, style: Style): string {
  const marks = { success: style.mark('ok'), warning: style.mark('warning'), error: style.mark('error') };
  const categories = report.categories.map(({ categoryName, checks }) => {
    const lines = checks.flatMap(({ description, result, error, hint }) => [
      `${marks[result]} ${description}`,
      ...(error === undefined ? [] : [`    ${error}`]),
      ...(hint === undefined ? [] : [style.dim(`    hint: ${hint}`)]),
    ]);
    return [style.bold(categoryName), '-'.repeat(categoryName.length), ...lines].join('\n');
  });
  return `${categories.join('\n\n')}\n\nStatus check results are ${report.success ? marks.success : marks.error}`;
}

export function pass(description: string): CheckResult {
  return { description, result: 'success' };
}

export function warn(description: string, error: string, hint: string): CheckResult {
  return { description, result: 'warning', error, hint };
}

export function fail(description: string, error: string, hint: string): CheckResult {
  return { description, result: 'error', error, hint };
}
