// The league's tables: by mode, never pooled; flat cells apart; the cells that are lost, by name.
import { MODES, type Mode } from '../../src/core/policy.ts';
import type { CellResult, Outcome } from './policy-play.ts';

export interface TableRow {
  readonly controller: string;
  readonly cells: number;
  /** Quantiles over all cells; null: that many of them broke the SLA. */
  readonly median: number | null;
  readonly p75: number | null;
  readonly p90: number | null;
  readonly breaks: number;
  readonly brokenStretches: number;
  /** Median of the objective's regret, broken runs included as they are. */
  readonly softMedian: number;
  readonly changes: number;
  readonly rollbacks: number;
  readonly unsafe: number;
  readonly cpuMsPerRun: number;
}

/** Constants that need no tuning: where one of them is within 3 % of the best, a cell tells nothing of a controller. */
const TRIVIAL = ['fixed:b=64,d=0,c=1', 'fixed:b=64,d=0,c=2', 'fixed:b=64,d=sla/2,c=1'];
const FLAT_REGRET = 0.03;

/** Cells of a mode in which a trivial constant is as good as hindsight. */
export function toFlatCells(results: readonly CellResult[], mode: Mode): ReadonlySet<string> {
  const flat = results.flatMap(({ outcomes }) =>
    outcomes.filter(
      (one) => one.mode === mode && TRIVIAL.includes(one.controller) && one.regret !== null && one.regret < FLAT_REGRET,
    ),
  );
  return new Set(flat.map((one) => one.cell));
}

export function toRows(outcomes: readonly Outcome[]): readonly TableRow[] {
  return [...Map.groupBy(outcomes, (one) => one.controller)].map(([controller, of]) => {
    const regrets = of.map((one) => one.regret ?? Infinity).sort((a, b) => a - b);
    const mean = (value: (one: Outcome) => number): number => of.reduce((sum, one) => sum + value(one), 0) / of.length;
    return {
      controller,
      cells: of.length,
      median: quantile(regrets, 0.5),
      p75: quantile(regrets, 0.75),
      p90: quantile(regrets, 0.9),
      breaks: of.filter((one) => one.regret === null).length,
      brokenStretches: mean((one) => one.brokenStretches),
      softMedian:
        quantile(
          of.map((one) => one.softRegret).sort((a, b) => a - b),
          0.5,
        ) ?? 0,
      changes: mean((one) => one.changes),
      rollbacks: mean((one) => one.rollbacks),
      unsafe: mean((one) => one.unsafe),
      cpuMsPerRun: mean((one) => one.cpuMs),
    };
  });
}

/** Markdown. `rival`: whom `hero` is held against, cell by cell. */
export function toMarkdown(results: readonly CellResult[], hero = 'planner', rival = 'linear'): string {
  const lines: string[] = [];
  for (const mode of MODES) {
    const outcomes = results.flatMap((result) => result.outcomes).filter((one) => one.mode === mode);
    const flat = toFlatCells(results, mode);
    const hard = outcomes.filter((one) => !flat.has(one.cell));
    const infeasible = results.filter((result) => result.infeasible.includes(mode)).length;
    const cells = new Set(hard.map((one) => one.cell)).size;
    lines.push(
      `### ${mode}: ${cells} cells, ${flat.size} flat ones apart, ${infeasible} left out (hindsight finds nothing that holds)`,
      '',
    );
    lines.push(...toTable(hard), '');
    if (flat.size > 0) lines.push('Flat cells:', '', ...toTable(outcomes.filter((one) => flat.has(one.cell))), '');
    const lost = toLost(hard, hero, rival);
    if (lost.length > 0)
      lines.push(`Cells in which ${hero} loses to ${rival}:`, '', ...lost.map((line) => `- ${line}`), '');
  }
  return lines.join('\n');
}

function toTable(outcomes: readonly Outcome[]): readonly string[] {
  const rows = toRows(outcomes).map((row) =>
    [
      row.controller,
      percent(row.median),
      percent(row.p75),
      percent(row.p90),
      `${row.breaks} of ${row.cells}`,
      percent(row.brokenStretches),
      percent(row.softMedian),
      row.changes.toFixed(1),
      row.rollbacks.toFixed(1),
      row.unsafe.toFixed(2),
      row.cpuMsPerRun.toFixed(0),
    ].join(' | '),
  );
  return [
    '| controller | regret median | p75 | p90 | breaks the SLA | stretches broken | soft median | changes | rolled back | unsafe | CPU ms a run |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
  ];
}

function toLost(outcomes: readonly Outcome[], hero: string, rival: string): readonly string[] {
  const of = (name: string): ReadonlyMap<string, Outcome> =>
    new Map(outcomes.filter((one) => one.controller === name).map((one) => [one.cell, one]));
  const rivals = of(rival);
  return [...of(hero).values()]
    .map((mine) => ({ mine, theirs: rivals.get(mine.cell) }))
    .filter(({ mine, theirs }) => theirs !== undefined && (mine.regret ?? Infinity) > (theirs.regret ?? Infinity))
    .map(({ mine, theirs }) => `${mine.cell}: ${percent(mine.regret)} against ${percent(theirs!.regret)}`);
}

function quantile(sorted: readonly number[], q: number): number | null {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  return value === undefined || !Number.isFinite(value) ? null : value;
}

function percent(ratio: number | null): string {
  return ratio === null ? 'breaks' : `${(100 * ratio).toFixed(1)} %`;
}
