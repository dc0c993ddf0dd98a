// A cell drawn: p99 by interval over the SLA, and the three settings below it, a colour a controller.
import type { Mode } from '../../src/core/policy.ts';
import { createCell } from '../../sidecar/lab/cell.ts';
import { parseController } from '../../sidecar/lab/controllers.ts';
import { Scorer } from '../../sidecar/lab/score.ts';
import { runController } from '../../sidecar/lab/simulate.ts';
import type { LeagueCell } from './policy-cells.ts';

const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const WIDTH = 1000;
const PANEL = 150;
const LEFT = 70;

interface Line {
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One SVG, no script and no font of its own. */
export function drawCell(
  { id, spec }: LeagueCell,
  mode: Mode,
  controllers: readonly string[],
  cacheDir: string,
): string {
  const cell = createCell(spec);
  const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
  const intervals = Math.ceil(cell.durationMs / cell.intervalMs);
  const panels: Record<string, Line[]> = { 'p99 / SLA': [], batch: [], 'delay / SLA': [], 'in flight': [] };
  const drawn = controllers.filter((name) => !('expected' in parseController(name, spec.slaP99Ms)));
  for (const [index, name] of drawn.entries()) {
    const controller = parseController(name, spec.slaP99Ms);
    if ('expected' in controller) continue;
    const run = runController(cell, { controller, mode, cacheDir });
    const colour = COLOURS[index % COLOURS.length]!;
    const steps = (of: (settings: (typeof run.settings)[number]['settings']) => number): Line => ({
      colour,
      points: run.settings.flatMap(({ atMs, settings }, at) => [
        [atMs / cell.intervalMs, of(settings)] as const,
        [(run.settings[at + 1]?.atMs ?? cell.durationMs) / cell.intervalMs, of(settings)] as const,
      ]),
    });
    panels['p99 / SLA']!.push({
      colour,
      points: Array.from({ length: intervals }, (_, at) => {
        const { p99Ms } = scorer.tail(run, at * cell.intervalMs, (at + 1) * cell.intervalMs);
        return [at + 0.5, Math.min(2, p99Ms / cell.slaMs)] as const;
      }),
    });
    panels['batch']!.push(steps(({ batchSize }) => Math.log2(batchSize)));
    panels['delay / SLA']!.push(steps(({ batchDelayMs }) => batchDelayMs / cell.slaMs));
    panels['in flight']!.push(steps(({ concurrency }) => concurrency));
  }
  const body = Object.entries(panels).map(([title, lines], row) =>
    drawPanel(title, lines, intervals, 60 + row * (PANEL + 30)),
  );
  const legend = drawn.map(
    (name, index) =>
      `<text x="${LEFT + (index % 4) * 230}" y="${38 + 14 * Math.floor(index / 4)}" fill="${COLOURS[index % COLOURS.length]}">${escape(name)}</text>`,
  );
  const height = 60 + 4 * (PANEL + 30);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/><text x="${LEFT}" y="18">${escape(`${id}, ${mode}`)}</text>${legend.join('')}${body.join('')}</svg>\n`;
}

function drawPanel(title: string, lines: readonly Line[], intervals: number, top: number): string {
  const most = Math.max(1, ...lines.flatMap(({ points }) => points.map(([, y]) => y)));
  const toX = (x: number): number => LEFT + (x / intervals) * (WIDTH - LEFT - 10);
  const toY = (y: number): number => top + PANEL - (y / most) * PANEL;
  const one = title.startsWith('p99')
    ? `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${toY(1)}" y2="${toY(1)}" stroke="#999" stroke-dasharray="4"/>`
    : '';
  const paths = lines.map(
    ({ colour, points }) =>
      `<polyline fill="none" stroke="${colour}" points="${points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ')}"/>`,
  );
  const top64 = title === 'batch' ? `2^${most.toFixed(0)}` : most.toFixed(2);
  return `<text x="4" y="${top + 12}">${title}</text><text x="4" y="${top + 28}" fill="#666">max ${top64}</text><rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - 10}" height="${PANEL}" fill="none" stroke="#ccc"/>${one}${paths.join('')}`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
