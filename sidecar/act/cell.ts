// The settings in force for one model: one writer, bounds enforced inside, swapped whole.
import { MorphlingError } from '../../src/core/errors.ts';
import {
  type Bounds,
  clampSettings,
  isSameSettings,
  type Settings,
  type SettingsSource,
  type SettingsVersion,
} from '../../src/core/settings.ts';

/** What the request path sees of a cell: read once per batch. */
interface SettingsReader {
  readonly model: string;
  /** Frozen at every depth; another object after every change. */
  readonly current: SettingsVersion;
}

export class SettingsCell implements SettingsReader {
  readonly model: string;
  #bounds: Bounds;
  #current: SettingsVersion;

  constructor(model: string, bounds: Bounds, start: { readonly settings: Settings; readonly source: SettingsSource }) {
    this.model = model;
    this.#bounds = bounds;
    this.#current = toVersion(clampFinite(start.settings, bounds), 1, start.source);
  }

  get current(): SettingsVersion {
    return this.#current;
  }

  get bounds(): Bounds {
    return this.#bounds;
  }

  /**
   * Clamps to the bounds and swaps. What is in force already stays, without a new generation.
   * Throws BAD_SETTINGS on a number that is not finite: a diverged decider must not pass as "clamped".
   */
  put(settings: Settings, source: SettingsSource): SettingsVersion {
    const clamped = clampFinite(settings, this.#bounds);
    if (!isSameSettings(clamped, this.#current.settings)) {
      this.#current = toVersion(clamped, this.#current.generation + 1, source);
    }
    return this.#current;
  }

  /** New bounds hold at once: what is in force is clamped to them. */
  rebound(bounds: Bounds): SettingsVersion {
    this.#bounds = bounds;
    return this.put(this.#current.settings, this.#current.source);
  }
}

function toVersion(settings: Settings, generation: number, source: SettingsSource): SettingsVersion {
  return Object.freeze({ settings, generation, source });
}

function clampFinite(settings: Settings, bounds: Bounds): Settings {
  const { batchSize, batchDelayMs, concurrency } = settings;
  if (![batchSize, batchDelayMs, concurrency].every(Number.isFinite)) {
    throw new MorphlingError(
      'BAD_SETTINGS',
      `settings must be finite, got ${batchSize} / ${batchDelayMs} / ${concurrency}`,
    );
  }
  return clampSettings(settings, bounds);
}
