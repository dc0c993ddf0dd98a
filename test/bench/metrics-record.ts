// What one request costs the metrics: `node test/bench/metrics-record.ts`. One JSON object, ns per record.
import { createMetrics } from '../../sidecar/control/metrics.ts';
import type { BatchCompletion, Completion } from '../../src/core/completion.ts';

const COUNT = 2_000_000;
const RUNS = 7;

const metrics = createMetrics({
  build: { version: '0', commit: '0', node: process.version },
  models: () => [],
  telemetry: () => null,
  slaP99Ms: () => 85,
  isConfigInvalid: () => false,
  isBypass: () => false,
  samplingIntervalS: () => 10,
  stateProblem: () => null,
  upstream: () => ({ isDown: false, retries: { made: 0, refused: 0 } }),
  restarts: () => null,
  memoryRatio: () => null,
});
const models = Array.from({ length: 16 }, (_, index) => `model-${index}`);
const completions = Array.from({ length: 4096 }, (_, index): Completion => ({
  model: models[index % 16] ?? '',
  protocol: index % 3 === 0 ? 'v1' : 'v2',
  code: index % 50 === 0 ? 503 : 200,
  outcome: index % 50 === 0 ? 'shed' : 'ok',
  ending: index % 50 === 0 ? 'dropped' : 'success',
  arrivedMs: index,
  endedMs: index + 1 + (index % 300) * 0.7,
  queueMs: (index % 40) * 0.3,
  upstreamMs: (index % 200) * 0.9,
  firstByteMs: null,
  items: 1,
  requestBytes: 100,
  responseBytes: 100,
  generation: 1,
}));
const batches = completions.map(({ model }, index): BatchCompletion => ({
  model,
  reason: 'natural',
  ending: 'success',
  startedMs: 0,
  durationMs: 5,
  requests: 1,
  items: 1 + (index % 64),
  inflight: 1,
  inflightAll: 1,
  generation: 1,
}));

/** Median and extremes of ns per call over all runs; the first run warms up and does not count. */
function measure(run: (index: number) => void): { medianNs: number; minNs: number; maxNs: number } {
  const ns: number[] = [];
  for (let round = 0; round <= RUNS; round++) {
    const startedMs = performance.now();
    for (let index = 0; index < COUNT; index++) run(index & 4095);
    if (round > 0) ns.push(((performance.now() - startedMs) * 1e6) / COUNT);
  }
  ns.sort((a, b) => a - b);
  const round = (value: number | undefined): number => Number((value ?? 0).toFixed(1));
  return { medianNs: round(ns[RUNS >> 1]), minNs: round(ns[0]), maxNs: round(ns.at(-1)) };
}

const completed = measure((index) => {
  const completion = completions[index];
  if (completion !== undefined) metrics.sink.completed(completion);
});
const batchCompleted = measure((index) => {
  const batch = batches[index];
  if (batch !== undefined) metrics.sink.batchCompleted(batch);
});
const startedMs = performance.now();
const { body } = await metrics.render(null);
const render = { ms: Number((performance.now() - startedMs).toFixed(1)), bytes: body.length };
console.log(
  JSON.stringify({ node: process.version, count: COUNT, runs: RUNS, models: 16, completed, batchCompleted, render }),
);
metrics.close();
