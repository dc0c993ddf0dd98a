// What does sense cost a request, and a snapshot of a hundred models? `node test/bench/sense.ts` prints JSON.
import { cpus } from 'node:os';
import { createSense } from '../../sidecar/sense/sense.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { START_SETTINGS } from '../../src/core/settings.ts';

const REQUESTS = 200_000;
const PER_BATCH = 8;
const RUNS = 9;

function cpuUs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function measure(models: number): { nsPerRequest: number; tickMs: number } {
  const version = { settings: START_SETTINGS, generation: 1, source: 'start' } as const;
  const sense = createSense({
    startMs: 0,
    policy: () => DEFAULT_POLICY,
    version: () => version,
    load: () => ({ queueDepth: 0, oldestWaitMs: 0, inflight: 0 }),
  });
  const names = Array.from({ length: models }, (_, i) => `model-${i}`);
  const us = cpuUs(() => {
    for (let i = 0; i < REQUESTS; i++) {
      const atMs = (i * 9000) / REQUESTS;
      const model = names[i % models]!;
      sense.arrived(model, 1, 1000, atMs);
      sense.completed({
        model,
        protocol: 'v1',
        code: 200,
        outcome: 'ok',
        ending: 'success',
        arrivedMs: atMs,
        endedMs: atMs + 10 + (i % 7),
        queueMs: 2,
        upstreamMs: 8,
        firstByteMs: 10,
        items: 1,
        requestBytes: 1000,
        responseBytes: 1000,
        generation: 1,
      });
      if (i % PER_BATCH !== 0) continue;
      sense.batchStarted(model, atMs);
      sense.batchCompleted({
        model,
        reason: 'natural',
        ending: 'success',
        startedMs: atMs,
        durationMs: 0.3,
        requests: PER_BATCH,
        items: PER_BATCH,
        inflight: 1,
        inflightAll: 1,
        generation: 1,
      });
    }
  });
  return { nsPerRequest: (1000 * us) / REQUESTS, tickMs: cpuUs(() => void sense.tick(10_000)) / 1000 };
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const results = [1, 100].map((models) => {
  const runs = Array.from({ length: RUNS + 2 }, () => measure(models)).slice(2);
  return {
    models,
    nsPerRequest: median(runs.map((run) => run.nsPerRequest)),
    closingTickMs: median(runs.map((run) => run.tickMs)),
  };
});
console.log(
  JSON.stringify({
    question: 'CPU of sense per request (arrived + completed + 1/8 batch) and of the tick that closes the windows',
    machine: `${cpus().length} x ${cpus()[0]?.model}`,
    node: process.version,
    runs: RUNS,
    results,
  }),
);
