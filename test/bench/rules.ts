// How far does each rule end from the best fixed setting, and where does it lose? Markdown to stdout.
// node test/bench/rules.ts [windows=40]
import { cpus } from 'node:os';
import { aimd } from '../../sidecar/decide/aimd.ts';
import type { Decider } from '../../sidecar/decide/decider.ts';
import { createFixed } from '../../sidecar/decide/fixed.ts';
import { Gradient } from '../../sidecar/decide/gradient.ts';
import { Linear } from '../../sidecar/decide/linear.ts';
import { MODES } from '../../src/core/policy.ts';
import { formatSettings, type Settings, START_SETTINGS } from '../../src/core/settings.ts';
import {
  type Cell,
  findBestFixed,
  runCell,
  toCellObjective,
  toCellSlaMs,
  toMissRatio,
  toProfilePoints,
  WARM_UP_S,
} from '../support/lab-cell.ts';

const windows = Number(process.argv[2] ?? 40);
const CURVES = [
  {
    name: 'proportional',
    points: [
      { items: 1, latencyMs: 1 },
      { items: 64, latencyMs: 64 },
    ],
  },
  ...[
    'ResNet-50-v1.5|A100-80GB|TF32|PaddlePaddle',
    'efficientnet-b4|V100-16GB|FP32|PyTorch',
    'TFT-electricity|A100-80GB|FP16|Triton/PyTorch(instances=2)',
    'EfficientNet-v1-res224x224|A100-80GB|TF32|TensorFlow2',
    'BERT-Large-seq128|A100-40GB|FP16|TensorRT',
  ].map((id) => ({ name: id.split('|').slice(0, 2).join(' '), points: toProfilePoints(id) })),
];
const WORKLOADS = ['poisson:40%', 'poisson:65%', 'poisson:85%', 'steps:25%@0,75%@200'];
/** A grid of 10 x 4 x 4 less the senseless ones: coarser than the oracles' in delay and concurrency. */
const GRID = {
  batchSizes: [1, 2, 4, 8, 12, 16, 24, 32, 48, 64],
  delayRatios: [0, 1 / 10, 1 / 4, 1 / 2],
  concurrencies: [1, 2, 4, 8],
};

const rules: readonly { readonly name: string; create(slaMs: number): { decider: Decider; start: Settings } }[] = [
  { name: 'linear', create: () => ({ decider: new Linear(), start: START_SETTINGS }) },
  { name: 'aimd', create: () => ({ decider: aimd, start: START_SETTINGS }) },
  { name: 'gradient', create: () => ({ decider: new Gradient(), start: START_SETTINGS }) },
  ...(
    [
      ['fixed 64/0/1', 64, 0, 1],
      ['fixed 64/0/2', 64, 0, 2],
      ['fixed 64/0/8', 64, 0, 8],
      ['fixed 64/sla:2/1', 64, 0.5, 1],
    ] as const
  ).map(([name, batchSize, delayRatio, concurrency]) => ({
    name,
    create: (slaMs: number) => {
      const start = { batchSize, batchDelayMs: delayRatio * slaMs, concurrency, switches: {} };
      return { decider: createFixed(start), start };
    },
  })),
];

const regrets = new Map<string, number[]>();
const broken = new Map<string, number>();
let infeasible = 0;
const startedMs = performance.now();
process.stdout.write(
  `${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}, ${windows} windows of 10 s, SLA 3 x L(16); every rule has the reflex and the guard.\n\n`,
);
process.stdout.write(
  '| mode | profile | kappa | load | best fixed | rule | end | p99 / SLA | late % | goodput/s | gpuBusy | objective / best | changes |\n',
);
process.stdout.write('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n');
for (const { name, points } of CURVES)
  for (const interference of [0, 0.7])
    for (const workload of WORKLOADS) {
      const cell: Cell = { name, points, workload, slaFactor: 3, interference, windows };
      const slaMs = toCellSlaMs(cell);
      const bests = findBestFixed(cell, GRID);
      for (const mode of MODES) {
        const best = bests[mode];
        if (best === null) infeasible++;
        for (const rule of rules) {
          const { decider, start } = rule.create(slaMs);
          const isFixed = rule.name.startsWith('fixed');
          const result = runCell(cell, mode, decider, { start, hasGuard: !isFixed });
          const whole = result.tally.whole();
          const ratio = best === null ? null : toCellObjective(result, mode) / best.objective;
          const key = `${mode} | ${rule.name}`;
          if (ratio !== null) {
            if (Number.isFinite(ratio)) regrets.set(key, [...(regrets.get(key) ?? []), ratio - 1]);
            else broken.set(key, (broken.get(key) ?? 0) + 1);
          }
          const cells = [
            mode,
            name,
            interference,
            workload,
            best === null ? 'none' : formatSettings(best.settings),
            rule.name,
            formatSettings(result.windows.at(-1)!.settings),
            (whole.p99Ms / slaMs).toFixed(2),
            (100 * toMissRatio(result, WARM_UP_S * 1000)).toFixed(1),
            whole.goodputPerS.toFixed(1),
            whole.gpuBusy.toFixed(2),
            ratio === null ? '-' : Number.isFinite(ratio) ? ratio.toFixed(2) : 'breaks the SLA',
            result.changes,
          ];
          process.stdout.write(`| ${cells.join(' | ')} |\n`);
        }
      }
    }

process.stdout.write(
  `\nRegret against the best fixed setting in hindsight, by mode (${infeasible} cells have none and are left out).\n\n`,
);
process.stdout.write(
  '| mode | rule | median % | p90 % | worst % | cells that break the SLA |\n| --- | --- | --- | --- | --- | --- |\n',
);
for (const mode of MODES)
  for (const rule of rules) {
    const key = `${mode} | ${rule.name}`;
    const sorted = (regrets.get(key) ?? []).toSorted((a, b) => a - b);
    const at = (share: number): string =>
      (100 * (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN)).toFixed(1);
    process.stdout.write(
      `| ${key} | ${at(0.5)} | ${at(0.9)} | ${at(1)} | ${broken.get(key) ?? 0} of ${sorted.length + (broken.get(key) ?? 0)} |\n`,
    );
  }
process.stdout.write(`\n${((performance.now() - startedMs) / 1000).toFixed(0)} s\n`);
