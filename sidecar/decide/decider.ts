// The interface of everything that chooses settings: numbers in, a decision out; no timer, no socket.
import type { Policy } from '../../src/core/policy.ts';
import type { Decision } from '../../src/core/proposal.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';

/** What a decider may look at besides the snapshot. */
export interface DecideContext {
  readonly nowMs: number;
  readonly policy: Policy;
  /** Busy share of the model's device, 0..1, from the best source there is; null when nothing tells. */
  readonly deviceBusyRatio: number | null;
  /** Where `deviceBusyRatio` comes from: every decision says which it used. */
  readonly deviceSource: string;
}

export interface Decider {
  /** Short and stable: `linear`, `aimd`; the name in `explain`, metrics and `--controller`. */
  readonly name: string;
  /** Called once per model and decision interval. Keeps its own memory per model. */
  decide(model: ModelSnapshot, context: DecideContext): Decision;
  /** A change was made that this decider did not propose, or its proposal was rolled back. */
  settled?(model: string, settings: Settings, wasRolledBack: boolean): void;
  /** The load or the latency jumped: what was fitted before no longer holds. */
  reset?(model: string): void;
}
