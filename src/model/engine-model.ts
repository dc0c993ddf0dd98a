// What an engine is, as numbers a replay can use: latency by batch size, and what batches in flight cost each other.

/** Believed or true; the replay does not know. */
export interface EngineModel {
  /** L(items), ms, at index 1 and up; index 0 means nothing. Larger batches are drawn in proportion to the last. */
  readonly latencyMs: Float64Array;
  /** kappa: what each further batch in flight costs; 0 perfect sharing, 1 time slicing. */
  readonly interference: number;
  /** Most items per ms over whole batch sizes: what `demand` is a share of. */
  readonly peakItemsPerMs: number;
}

/** Sizes a table covers by default, and over which the peak is taken: the upper bound of the batch size setting. */
export const MODEL_ITEMS = 64;

/** Tabulates a latency for 1..64 items. */
export function toEngineModel(latencyMs: (items: number) => number, interference: number): EngineModel {
  const table = new Float64Array(MODEL_ITEMS + 1);
  let peakItemsPerMs = 0;
  for (let items = 1; items <= MODEL_ITEMS; items++) {
    table[items] = latencyMs(items);
    peakItemsPerMs = Math.max(peakItemsPerMs, items / table[items]!);
  }
  return { latencyMs: table, interference, peakItemsPerMs };
}

/** L of any whole number of items, ms. */
export function toLatencyMs({ latencyMs }: EngineModel, items: number): number {
  const last = latencyMs.length - 1;
  return items <= last ? latencyMs[items]! : (latencyMs[last]! * items) / last;
}

/** The share of the device that one batch can use, in (0, 1]. */
export function toDemand(model: EngineModel, items: number): number {
  return Math.min(1, items / toLatencyMs(model, items) / model.peakItemsPerMs);
}
