// What do a line of nvidia-smi and an overlaid metrics page cost? `node test/bench/telemetry.ts` prints JSON.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNvidiaSmi } from '../../src/telemetry/accelerator/nvidia-smi.ts';
import { overlayQueue } from '../../src/telemetry/engine/queue-overlay.ts';

const LINES = 400;
const RUNS = 200;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** CPU of this process for each line of a child that prints one every 5 ms, ms. */
async function cpuMsPerLine(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'morphling-bench-'));
  const path = join(folder, 'nvidia-smi');
  writeFileSync(
    path,
    '#!/bin/sh\n[ "$1" = -L ] && exit 0\nwhile :; do echo "0, GPU-1, L40S, 40, 1024, 46068, 110.5, 50, [N/A]"; sleep 0.005; done\n',
  );
  chmodSync(path, 0o755);
  let lines = 0;
  let before = process.cpuUsage();
  const cpuMs = await new Promise<number>((resolve) => {
    const sampler = createNvidiaSmi({
      path,
      intervalMs: 5,
      silenceMs: 5000,
      onReading() {
        lines += 1;
        // The first lines pay for loading execa.
        if (lines === 50) before = process.cpuUsage();
        if (lines !== 50 + LINES) return;
        const { user, system } = process.cpuUsage(before);
        resolve((user + system) / 1000);
        void sampler.stop();
      },
    });
    sampler.start();
  });
  rmSync(folder, { recursive: true, force: true });
  return cpuMs / LINES;
}

const SERIES = Array.from(
  { length: 200 },
  (_, i) =>
    `nv_inference_count{model="m${i}",version="1"} ${i}\nnv_inference_pending_request_count{model="m${i}",version="1"} 1\n`,
).join('');
const page = Buffer.from(SERIES);
const depths = new Map(Array.from({ length: 20 }, (_, i) => [`m${i}`, i] as const));
const overlayMs = Array.from({ length: RUNS }, () => {
  const startMs = performance.now();
  overlayQueue(page, depths, 'morphling_queue_depth 1\n');
  return performance.now() - startMs;
});

console.log(
  JSON.stringify({
    question: 'CPU of the agent per nvidia-smi line, wall time to overlay a page of 200 models',
    machine: `${cpus().length} x ${cpus()[0]?.model}`,
    node: process.version,
    cpuMsPerLine: await cpuMsPerLine(),
    overlay: { pageBytes: page.length, runs: RUNS, medianMs: median(overlayMs), maxMs: Math.max(...overlayMs) },
  }),
);
