// The models seen so far, each with its lane. Names come from callers, so their number is bounded: the rest share one.
import type { Exchange } from './exchange.ts';
import type { Lane } from './waiting.ts';

/** The label and lane of every model beyond the hundredth. */
export const OTHER_MODEL = 'other';
const MODELS_MAX = 100;

/** One lane with what its driver needs to remember. */
export interface ModelLane {
  /** The model's name, or `other`. */
  readonly label: string;
  readonly lane: Lane<Exchange>;
  /** The one timer: when the lane wants to be asked again. */
  timer: NodeJS.Timeout | null;
  wakeAtMs: number;
  /** A request of it could be batched. */
  hasBatched: boolean;
  isToldUnbatched: boolean;
  /** Requests refused because they would have ended too late, ever. */
  lateSheds: number;
  /** Requests that wait before the lane until it is known whether they may be batched. */
  held: number;
}

export class Models {
  readonly #lanes = new Map<string, ModelLane>();
  readonly #byLane = new Map<Lane<Exchange>, ModelLane>();
  readonly #open: (label: string) => Lane<Exchange>;
  readonly #reserved: ReadonlySet<string>;
  #freePlaces: number;

  /** `open` makes the lane of a label on first sight. `reserved` models always get one of their own. */
  constructor(open: (label: string) => Lane<Exchange>, reserved: readonly string[] = []) {
    this.#open = open;
    this.#reserved = new Set(reserved.slice(0, MODELS_MAX));
    this.#freePlaces = MODELS_MAX - this.#reserved.size;
  }

  /** The lane a model's requests go through. Requests of different models never share a batch: their keys differ. */
  laneOf(model: string): ModelLane {
    const known = this.#lanes.get(model);
    if (known !== undefined) return known;
    const isOwn = this.#reserved.has(model) || this.#freePlaces > 0;
    if (!isOwn && model !== OTHER_MODEL) return this.laneOf(OTHER_MODEL);
    if (!this.#reserved.has(model) && model !== OTHER_MODEL) this.#freePlaces -= 1;
    const label = model;
    const opened: ModelLane = {
      label,
      lane: this.#open(label),
      timer: null,
      wakeAtMs: Infinity,
      hasBatched: false,
      isToldUnbatched: false,
      lateSheds: 0,
      held: 0,
    };
    this.#lanes.set(label, opened);
    this.#byLane.set(opened.lane, opened);
    return opened;
  }

  /** Without making one. */
  find(label: string): ModelLane | null {
    return this.#lanes.get(label) ?? null;
  }

  /** The entry of a lane that the gate named. */
  entryOf(lane: Lane<Exchange>): ModelLane | undefined {
    return this.#byLane.get(lane);
  }

  all(): IterableIterator<ModelLane> {
    return this.#lanes.values();
  }
}
