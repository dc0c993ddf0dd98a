// The league of controllers on held-out profiles: regret against the best in hindsight, by mode.
//
//     npm run bench:policy -- [--quick] [--cells N] [--requests N] [--seeds N] [--set held-out|training] [--controllers A,B]
//                             [--workers N] [--out DIR] [--trace CELL_ID_PART]
//
// Results go to DIR/results.jsonl a cell at a time, under the hash of the code that made them: stopped and started again it
// goes on where it was, and another revision starts anew. Prints Markdown; DIR/league.md and league.json hold the same.
// `--trace` draws DIR/*.svg of the cells whose id contains the text: p99 by interval and settings, a line a controller.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { findBestConstants } from './policy-constants.ts';
import { type LeagueCell, readSplit, toCells } from './policy-cells.ts';
import { type CellResult, playCell, type PlayOptions } from './policy-play.ts';
import { toMarkdown, toRows } from './policy-table.ts';
import { drawCell } from './policy-trace.ts';
import { MODES } from '../../src/core/policy.ts';

const ALL = [
  'planner',
  'linear',
  'aimd',
  'gradient',
  'bayes',
  'fixed:b=64,d=0,c=1',
  'fixed:b=64,d=0,c=2',
  'fixed:b=64,d=0,c=8',
  'fixed:b=64,d=sla/2,c=1',
  'best-constant',
  'oracle-static',
];
const QUICK = { cells: 20, requests: 30_000, constantCells: 6 };
const FULL = { cells: 120, requests: 30_000, constantCells: 24 };

/** Names carry commas inside: `fixed:b=64,d=0,c=1`. */
function splitControllers(text: string): string[] {
  return text.split(/,(?=[a-z-]+(?::|,|$))(?![bdc]=)/);
}

function toCodeHash(root: string): string {
  const files = globSync(
    ['sidecar/{lab,decide,proxy,sense,act}/**/*.ts', 'src/{core,model,traffic}/**/*.ts', 'test/bench/policy*.ts'],
    {
      cwd: root,
    },
  ).toSorted();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}

async function playAll(
  cells: readonly LeagueCell[],
  options: PlayOptions,
  workers: number,
  onResult: (result: CellResult) => void,
): Promise<void> {
  const queue = [...cells];
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: options });
      const next = (): void => {
        const cell = queue.shift();
        if (cell === undefined) void worker.terminate().then(() => resolve(), reject);
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin
        else worker.postMessage(cell);
      };
      worker.on('message', (result: CellResult) => {
        onResult(result);
        next();
      });
      worker.on('error', reject);
      next();
    });
  await Promise.all(Array.from({ length: Math.min(workers, queue.length) }, work));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      cells: { type: 'string' },
      requests: { type: 'string' },
      seeds: { type: 'string', default: '1' },
      set: { type: 'string', default: 'held-out' },
      controllers: { type: 'string' },
      workers: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      out: { type: 'string', default: join(tmpdir(), 'morphling-league') },
      trace: { type: 'string' },
    },
  });
  const size = values.quick ? QUICK : FULL;
  const root = join(import.meta.dirname, '../..');
  const { training, heldOut } = readSplit();
  const profiles = values.set === 'training' ? training : heldOut;
  const requests = Number(values.requests ?? size.requests);
  const cells = toCells(profiles, Number(values.cells ?? size.cells), requests, Number(values.seeds));
  const controllers = values.controllers === undefined ? ALL : splitControllers(values.controllers);
  mkdirSync(values.out, { recursive: true });
  const cacheDir = join(values.out, 'oracles');

  if (values.trace !== undefined) {
    for (const cell of cells.filter(({ id }) => id.includes(values.trace!)))
      for (const mode of MODES) {
        const name = `${cell.id} ${mode}`.replaceAll(/[^A-Za-z0-9.]+/g, '-');
        writeFileSync(join(values.out, `${name}.svg`), drawCell(cell, mode, controllers, cacheDir));
        console.error(`drew ${join(values.out, name)}.svg`);
      }
    return;
  }

  const startedMs = performance.now();
  const constants = controllers.includes('best-constant')
    ? findBestConstants(toCells(training, size.constantCells, requests, 1), join(values.out, 'constants'))
    : null;
  const code = toCodeHash(root);
  const path = join(values.out, 'results.jsonl');
  const keyOf = (id: string): string => `${code} ${controllers.join(' ')} ${id}`;
  const known = new Map<string, CellResult>();
  if (existsSync(path))
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const { key, result } = JSON.parse(line) as { key: string; result: CellResult };
      known.set(key, result);
    }
  const missing = cells.filter(({ id }) => !known.has(keyOf(id)));
  let done = cells.length - missing.length;
  await playAll(missing, { controllers, constants, cacheDir, hasReach: false }, Number(values.workers), (result) => {
    known.set(keyOf(result.cell), result);
    appendFileSync(path, `${JSON.stringify({ key: keyOf(result.cell), result })}\n`);
    console.error(
      `${++done} of ${cells.length} cells, ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${result.cell}`,
    );
  });

  const results = cells.map(({ id }) => known.get(keyOf(id))!);
  const about = {
    question: 'regret of each controller against oracle-phase, by mode',
    set: values.set,
    cells: cells.length,
    requests,
    seeds: Number(values.seeds),
    constants,
    code,
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    node: process.version,
    machine: `${cpus().length} x ${cpus()[0]?.model}`,
    wallS: Math.round((performance.now() - startedMs) / 1000),
  };
  const markdown = `${toMarkdown(results)}\n\n${JSON.stringify(about)}\n`;
  writeFileSync(join(values.out, 'league.md'), markdown);
  const tables = Object.fromEntries(
    MODES.map((mode) => [mode, toRows(results.flatMap(({ outcomes }) => outcomes.filter((one) => one.mode === mode)))]),
  );
  writeFileSync(join(values.out, 'league.json'), JSON.stringify({ about, tables, results }, null, 1));
  console.log(markdown);
}

if (isMainThread) await main();
else
  parentPort?.on('message', (cell: LeagueCell) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin
    parentPort?.postMessage(playCell(cell, workerData as PlayOptions));
  });
