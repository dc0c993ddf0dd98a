// The interface of what an engine itself can be told: switches and its own batcher, beyond what the proxy does.
import type { Settings } from '../../../src/core/settings.ts';

/** What a change costs: nothing, a reload of the model, or a restart of the server. */
export type ChangeCost = 'live' | 'reload' | 'restart';

export interface EngineAdapter {
  /** `none`, `emulated`, `triton`: the value of the `engine` key. */
  readonly name: string;
  /** Switches this engine offers for the model, with the cost of turning each. */
  switches(model: string): Promise<Readonly<Record<string, ChangeCost>>>;
  /** Puts the engine's part of the settings in force; throws MorphlingError and leaves the old in force on failure. */
  apply(model: string, settings: Settings): Promise<void>;
  /** True when the engine shows that the settings took effect. */
  verify(model: string, settings: Settings): Promise<boolean>;
}
