// Pause, bypass and policy as people left them: they outlive a crash of the data process, but not a new start of the
// agent, whose configuration is the word then.
import type { Policy } from '../../src/core/policy.ts';
import { StateStore } from '../act/state.ts';

export interface Switches {
  readonly isPaused: boolean;
  readonly isBypassed: boolean;
  readonly policy: Policy;
}

export class SwitchStore {
  readonly #store: StateStore;
  readonly #run: string;

  /** `run` names the life of the supervisor. */
  constructor(dir: string, run: string) {
    this.#store = new StateStore({ dir, name: 'switches' });
    this.#run = run;
  }

  /** Null when this run left nothing. */
  async load(): Promise<Switches | null> {
    const state = await this.#store.load();
    if (state.kind !== 'loaded' || typeof state.value !== 'object' || state.value === null) return null;
    const { run, ...switches } = state.value as Switches & { run: string };
    return run === this.#run ? switches : null;
  }

  save(switches: Switches): void {
    this.#store.save({ ...switches, run: this.#run });
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }
}
