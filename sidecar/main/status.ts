// What `GET /v1/status` and the metrics page say, put together from the rooms.
import type { StatusBody } from '../../src/api/status.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot, TelemetryReading } from '../../src/core/snapshot.ts';
import type { LiveModel } from '../control/families.ts';
import type { Proxy } from '../proxy/stack.ts';
import type { Sense } from '../sense/sense.ts';
import type { Tuning } from './tuning.ts';

type ModelStatus = StatusBody['models'][number];

export interface StatusParts {
  readonly sense: Sense;
  readonly tuning: Tuning;
  readonly proxy: Proxy;
}

/** In the order of first sight; figures are null until the first window has closed. */
export function toModelStatuses({ sense, tuning, proxy }: StatusParts): ModelStatus[] {
  const windows = sense.windows();
  return tuning.cells.all().map((cell) => {
    const window = windows.get(cell.model);
    const { queueDepth, inflight } = proxy.load(cell.model);
    return {
      model: cell.model,
      ...cell.current,
      lastGood: tuning.applier.lastGood(cell),
      isWatching: tuning.applier.isWatching(cell.model),
      ...toTrial(tuning, cell.model),
      sla: sense.sla(cell.model),
      ratePerS: window?.ratePerS ?? null,
      p99Ms: window?.latency?.p99Ms ?? null,
      errorRatio: window?.errorRatio ?? null,
      meanBatchItems: window?.meanBatchItems ?? null,
      queueDepth,
      inflight,
      batching: toBatching(proxy, cell.model),
    };
  });
}

function toTrial(tuning: Tuning, model: string): Pick<ModelStatus, 'trial'> {
  const trial = tuning.trialOf(model);
  return trial === null ? {} : { trial: { ...trial, candidate: toWire(trial.candidate) } };
}

function toWire(settings: Settings): ModelStatus['settings'] {
  return { ...settings, switches: { ...settings.switches } };
}

function toBatching(proxy: Proxy, model: string): ModelStatus['batching'] {
  const word = proxy.batchability.read(model);
  return word && { isBatchable: word.isBatchable, reason: word.reason, maxItems: word.maxItems };
}

export function toLiveModels({ sense, tuning, proxy }: StatusParts): LiveModel[] {
  const windows = sense.windows();
  const last = new Map<string, ModelSnapshot>(sense.lastSnapshot()?.models.map((model) => [model.model, model]) ?? []);
  return tuning.cells.all().map((cell) => {
    const attainment = windows.get(cell.model)?.sloAttainment ?? null;
    const { queueDepth, inflight } = proxy.load(cell.model);
    return {
      model: cell.model,
      version: cell.current,
      queueDepth,
      inflight,
      sla: sense.sla(cell.model),
      sloViolationRatio: attainment === null ? null : 1 - attainment,
      popularityRatio: last.get(cell.model)?.features.popularity ?? null,
    };
  });
}

/** The newest word of the mind. Its ages go on growing when it says no more. */
export class TelemetryMemory {
  readonly #nowMs: () => number;
  #reading: TelemetryReading | null = null;
  #atMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  put(reading: TelemetryReading): void {
    this.#reading = reading;
    this.#atMs = this.#nowMs();
  }

  get(): TelemetryReading | null {
    if (this.#reading === null) return null;
    const elapsedMs = this.#nowMs() - this.#atMs;
    const health = this.#reading.health.map((one) => ({
      ...one,
      ageMs: one.ageMs === null ? null : one.ageMs + elapsedMs,
    }));
    return { ...this.#reading, health };
  }
}
