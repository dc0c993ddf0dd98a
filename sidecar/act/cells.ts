// One cell per model, made when the model is first seen; their number is bounded, since callers choose the names.
import { type Bounds, START_SETTINGS, type Settings, type SettingsSource } from '../../src/core/settings.ts';
import { SettingsCell } from './cell.ts';

/** The cell of all models beyond the limit. */
export const OTHER_MODEL = 'other';

export interface CellsOptions {
  /** Asked at first sight and whenever `rebound` is called: the SLA, and so the delay's bound, may differ by model. */
  readonly boundsOf: (model: string) => Bounds;
  /** What an earlier run proved for this model; null: nothing. */
  readonly restore?: (model: string) => { readonly settings: Settings; readonly source: SettingsSource } | null;
  /** Cells at most, `other` not counted. Default 100. */
  readonly limit?: number;
  /** Configured models: they always have a cell of their own, however many names are made up before they are seen. */
  readonly reserved?: readonly string[];
}

export class Cells {
  readonly #options: CellsOptions;
  readonly #cells = new Map<string, SettingsCell>();
  readonly #reserved: ReadonlySet<string>;
  readonly #freeSeats: number;
  #takenSeats = 0;

  constructor(options: CellsOptions) {
    this.#options = options;
    this.#reserved = new Set((options.reserved ?? []).slice(0, options.limit ?? 100));
    this.#freeSeats = (options.limit ?? 100) - this.#reserved.size;
  }

  /** The model's cell; the shared one of `other` when there is no room for another. */
  get(model: string): SettingsCell {
    const known = this.#cells.get(model);
    if (known !== undefined) return known;
    const isReserved = this.#reserved.has(model);
    if (!isReserved && model !== OTHER_MODEL) {
      if (this.#takenSeats >= this.#freeSeats) return this.get(OTHER_MODEL);
      this.#takenSeats++;
    }
    const start = this.#options.restore?.(model) ?? { settings: START_SETTINGS, source: 'start' };
    const cell = new SettingsCell(model, this.#options.boundsOf(model), start);
    this.#cells.set(model, cell);
    return cell;
  }

  /** Without making one: null for a model that was never seen. */
  find(model: string): SettingsCell | null {
    return this.#cells.get(model) ?? null;
  }

  /** In the order of first sight. */
  all(): SettingsCell[] {
    return [...this.#cells.values()];
  }

  /** After a change of the policy or of the assumed SLA: bounds are asked for anew and hold at once. */
  rebound(): void {
    for (const cell of this.#cells.values()) cell.rebound(this.#options.boundsOf(cell.model));
  }
}
