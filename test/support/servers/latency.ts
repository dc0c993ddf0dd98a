// How long a model takes directly, by batch: the ground that every claim about batching stands on.
import { inferV2, inferV2Binary, tensor } from './infer.ts';
import type { Tensor } from './infer.ts';
import { toMagikaRow } from './magika-row.ts';
import type { ModelServer } from './server.ts';

export type MeasuredModel = 'mlp' | 'magika';

export interface BatchLatency {
  readonly batch: number;
  readonly calls: number;
  readonly minMs: number;
  readonly medianMs: number;
  /** From the fastest call: on a shared machine the others tell of the neighbours. */
  readonly itemsPerS: number;
}

/** Makes an input of so many rows. */
export function measuredInput(model: MeasuredModel, rows: number): Tensor {
  if (model === 'magika')
    return tensor('bytes', 'INT32', Array(rows).fill(toMagikaRow('print("hello")\n'.repeat(200))));
  const row = Array.from({ length: 1024 }, (_, i) => ((i % 7) - 3) / 2);
  return tensor('x', 'FP32', Array<number[]>(rows).fill(row));
}

/** Calls a model one call at a time, in binary where the server knows it, for at least `budgetMs` and 5 calls. */
export async function measureLatency(
  server: ModelServer,
  model: MeasuredModel,
  batch: number,
  budgetMs: number,
): Promise<BatchLatency> {
  const infer = server.name === 'mlserver' ? inferV2 : inferV2Binary;
  const input = [measuredInput(model, batch)];
  const timesMs: number[] = [];
  const deadline = performance.now() + budgetMs;
  // The first call is not counted: it pays for the connection and for memory that is touched for the first time.
  for (let call = 0; call <= 5 || performance.now() < deadline; call += 1) {
    const start = performance.now();
    const answer = await infer(server.url, model, input);
    if (answer.status !== 200) throw new Error(`${server.name} ${model} ${batch}: ${answer.status} ${answer.text}`);
    if (call > 0) timesMs.push(performance.now() - start);
  }
  timesMs.sort((a, b) => a - b);
  const minMs = timesMs[0] ?? Number.NaN;
  const medianMs = timesMs[timesMs.length >> 1] ?? Number.NaN;
  return { batch, calls: timesMs.length, minMs, medianMs, itemsPerS: (1000 * batch) / minMs };
}
