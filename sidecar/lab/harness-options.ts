// What a run of the harness is given and what it gives back.
import type { Policy } from '../../src/core/policy.ts';
import type { Explanation } from '../../src/core/proposal.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot, Snapshot } from '../../src/core/snapshot.ts';
import type { Decider } from '../decide/decider.ts';
import type { Engine } from './engine.ts';
import type { LatencyCurve } from './profiles.ts';
import type { Tally } from './tally.ts';

export interface HarnessOptions {
  readonly curve: LatencyCurve;
  /** Seconds from the start, never falling; null when the run is over. `src/traffic` makes them. */
  readonly nextArrivalS: () => number | null;
  /** Where the scorer's stretches begin, first 0. */
  readonly stretchStartsS: readonly number[];
  readonly policy: Policy;
  readonly decider: Decider;
  /** p99 target that the score is held against, ms; the policy's if absent, else no target. */
  readonly slaP99Ms?: number;
  /** Items of each request; 1 if absent. */
  readonly nextItems?: () => number;
  readonly start?: Settings;
  readonly interference?: number;
  readonly seed?: number;
  /** The reflex is given to every controller; false shows what it is worth. */
  readonly hasReflex?: boolean;
  /** False: the decider's word is applied as it is (oracles, `fixed`). */
  readonly hasGuard?: boolean;
  /** Changes of the engine itself, by time: a switch, a neighbour, drift. */
  readonly disturbances?: readonly { readonly atS: number; apply(engine: Engine, nowMs: number): void }[];
  readonly onSnapshot?: (snapshot: Snapshot) => void;
}

/** One closed window with what was in force at its end. */
export interface WindowRecord {
  readonly atMs: number;
  readonly settings: Settings;
  readonly snapshot: ModelSnapshot;
}

export interface HarnessResult {
  readonly tally: Tally;
  readonly windows: readonly WindowRecord[];
  readonly explanations: readonly Explanation[];
  /** Settings swapped by the decider, and by the reflex. */
  readonly changes: number;
  readonly reflexTrips: number;
  readonly durationMs: number;
}
