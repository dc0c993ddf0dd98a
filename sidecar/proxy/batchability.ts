// Whether a model may be batched at all, and how many items its engine takes: asked once in the background and kept.
// V1 has one first dimension by definition; V2 must say so itself.
import type { Clock } from '../../src/core/clock.ts';
import type { ModelConfig } from '../../src/core/agent-config.ts';
import type { Protocol } from '../../src/core/completion.ts';

/** What is known of one model and version. */
export interface BatchWord {
  readonly isBatchable: boolean;
  /** False while the model server has not been heard yet. */
  readonly isSettled: boolean;
  /** Why, in a few words, for status and logs. */
  readonly reason: string;
  /** The engine's own maximum in items; null when it names none. */
  readonly maxItems: number | null;
}

/** A small GET to the model server: the parsed JSON of a 200, else null with the status (0: no answer). */
export type FetchJson = (path: string) => Promise<{ readonly status: number; readonly json: unknown }>;

export interface BatchabilityOptions {
  readonly models: Readonly<Record<string, ModelConfig>>;
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
  /** A question to the model server has ended, with or without an answer: what waited for it may `look` again. */
  readonly onHeard?: (model: string, version: string | null) => void;
}

export interface Batchability {
  /** Answers at once from what is known; asks the model server in the background when that is nothing or old. */
  look(protocol: Protocol, model: string, version: string | null): BatchWord;
  /** What the last request for the model would be told now; null while there was none. Asks nobody: for status. */
  read(model: string): BatchWord | null;
  /** When the question about a model and version that is under way was asked; null when none is. */
  askedMs(model: string, version: string | null): number | null;
  /** The least maximum known for the model over its versions; Infinity when none is known. */
  maxItems(model: string): number;
  /** An answer showed that joined calls do not work for this model. */
  markUnbatchable(model: string, reason: string): void;
  /** The model server was away and may have come back as another: all is asked again; until then the old word holds. */
  recheck(): void;
  /** The model was loaded or unloaded: what was known may no longer hold. */
  forget(model: string): void;
}

/** A model may be reloaded with other shapes behind our back; a minute of the old answer is bearable. */
const KNOWN_MS = 60_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const ENTRIES_MAX = 1_000;

const UNKNOWN: BatchWord = { isBatchable: false, isSettled: false, reason: 'metadata not known yet', maxItems: null };

interface Entry {
  word: BatchWord;
  expiresMs: number;
  /** When the question under way was asked; null when none is. */
  askedMs: number | null;
  failures: number;
}

export function createBatchability({ models, fetchJson, clock, onHeard }: BatchabilityOptions): Batchability {
  const entries = new Map<string, Map<string, Entry>>();
  const learned = new Map<string, string>();
  const lastLooks = new Map<string, { readonly protocol: Protocol; readonly version: string | null }>();
  let count = 0;

  const ask = (model: string, version: string | null, entry: Entry): void => {
    entry.askedMs = clock.nowMs();
    void askModel(fetchJson, model, version)
      .then((word) => learn(entry, word))
      .then(() => onHeard?.(model, version));
  };

  const learn = (entry: Entry, word: BatchWord | null): void => {
    entry.askedMs = null;
    entry.failures = word === null ? entry.failures + 1 : 0;
    entry.word = word ?? entry.word;
    const patienceMs = word === null ? Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (entry.failures - 1)) : KNOWN_MS;
    entry.expiresMs = clock.nowMs() + patienceMs;
  };

  const lookV2 = (model: string, version: string | null): BatchWord => {
    const versions = entries.get(model) ?? new Map<string, Entry>();
    let entry = versions.get(version ?? '');
    if (entry === undefined) {
      // Names come from callers, so their number is bounded; past it nothing is asked and nothing batched.
      if (count >= ENTRIES_MAX) return UNKNOWN;
      count += 1;
      entry = { word: UNKNOWN, expiresMs: 0, askedMs: null, failures: 0 };
      versions.set(version ?? '', entry);
      entries.set(model, versions);
    }
    if (entry.askedMs === null && clock.nowMs() >= entry.expiresMs) ask(model, version, entry);
    return entry.word;
  };

  const judge = (protocol: Protocol, model: string, toWordV2: () => BatchWord): BatchWord => {
    const configured = Object.hasOwn(models, model) ? models[model] : undefined;
    if (configured?.batchable === false) return toWord(false, 'configured');
    const fault = learned.get(model);
    if (fault !== undefined) return toWord(false, fault);
    if (protocol === 'v1') return toWord(true, 'protocol');
    if (protocol !== 'v2') return toWord(false, 'protocol');
    const word = toWordV2();
    return configured?.batchable === true ? toWord(true, 'configured', word.maxItems) : word;
  };

  return {
    look(protocol, model, version) {
      const last = lastLooks.get(model);
      const isNew =
        last === undefined ? lastLooks.size < ENTRIES_MAX : last.protocol !== protocol || last.version !== version;
      if (isNew) lastLooks.set(model, { protocol, version });
      return judge(protocol, model, () => lookV2(model, version));
    },
    read(model) {
      const last = lastLooks.get(model);
      if (last === undefined) return null;
      return judge(last.protocol, model, () => entries.get(model)?.get(last.version ?? '')?.word ?? UNKNOWN);
    },
    askedMs: (model, version) => entries.get(model)?.get(version ?? '')?.askedMs ?? null,
    maxItems(model) {
      let least = Object.hasOwn(models, model) ? (models[model]?.maxBatchSize ?? Infinity) : Infinity;
      for (const { word } of entries.get(model)?.values() ?? []) least = Math.min(least, word.maxItems ?? Infinity);
      return least;
    },
    markUnbatchable(model, reason) {
      if (learned.size < ENTRIES_MAX) learned.set(model, reason);
    },
    recheck() {
      for (const versions of entries.values()) {
        for (const entry of versions.values()) {
          entry.expiresMs = 0;
          entry.failures = 0;
        }
      }
    },
    forget(model) {
      learned.delete(model);
      for (const entry of entries.get(model)?.values() ?? []) {
        entry.expiresMs = 0;
        entry.word = UNKNOWN;
      }
    },
  };
}

/** Null: no usable answer, ask again later. */
async function askModel(fetchJson: FetchJson, model: string, version: string | null): Promise<BatchWord | null> {
  const path = `/v2/models/${model}${version === null ? '' : `/versions/${version}`}`;
  try {
    // Triton's own configuration is an extension: elsewhere it is a 404, and the metadata decides.
    const config = await fetchJson(`${path}/config`);
    const max = config.status === 200 ? readMaxBatchSize(config.json) : null;
    if (max !== null && max > 0) return toWord(true, 'max_batch_size', max);
    const metadata = await fetchJson(path);
    if (metadata.status !== 200) return null;
    return isFirstDimensionFree(metadata.json)
      ? toWord(true, 'metadata')
      : toWord(false, 'metadata names a fixed first dimension');
  } catch {
    // No answer is an answer here: not batched until there is one.
    return null;
  }
}

/** `max_batch_size` of a Triton configuration; null when the document has none. */
export function readMaxBatchSize(json: unknown): number | null {
  const max = (json as { max_batch_size?: unknown } | null)?.max_batch_size;
  return typeof max === 'number' && Number.isInteger(max) ? max : null;
}

/** True when there are inputs and outputs and each leaves its first dimension open (-1). */
export function isFirstDimensionFree(json: unknown): boolean {
  const metadata = json as { inputs?: unknown; outputs?: unknown } | null;
  const isFree = (tensors: unknown): boolean =>
    Array.isArray(tensors) &&
    tensors.length > 0 &&
    tensors.every((tensor: { shape?: unknown } | null) => {
      const shape = tensor?.shape;
      // Some servers write dimensions as strings, as protobuf's JSON does with 64-bit numbers.
      return Array.isArray(shape) && Number(shape[0]) === -1;
    });
  return isFree(metadata?.inputs) && isFree(metadata?.outputs);
}

function toWord(isBatchable: boolean, reason: string, maxItems: number | null = null): BatchWord {
  return { isBatchable, isSettled: true, reason, maxItems };
}
