// What the control port needs of the rest of the agent: plain functions, wired in main.ts.
import type { ReadyBody } from '../../src/api/requests.ts';
import type { StatusBody } from '../../src/api/status.ts';
import type { Issue } from '../../src/core/errors.ts';
import type { HistoryEntry } from '../../src/core/history.ts';
import type { Logger } from '../../src/core/log.ts';
import type { Policy } from '../../src/core/policy.ts';
import type { Explanation } from '../../src/core/proposal.ts';
import type { Bounds, Settings, SettingsVersion } from '../../src/core/settings.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { EventHub } from './stream.ts';
import type { TokenFile } from './token.ts';

/** The shape of act's `Applied`, and of a trial that was begun. */
export type ChangeOutcome =
  | { readonly kind: 'applied' | 'unchanged' | 'trial'; readonly version: SettingsVersion }
  | { readonly kind: 'refused'; readonly version: SettingsVersion; readonly issues: readonly Issue[] };

/** A model as far as changing it goes. */
export interface ControlledModel {
  readonly model: string;
  readonly version: SettingsVersion;
  readonly bounds: Bounds;
}

/** Synchronous unless said otherwise; what throws is answered as a problem and harms nothing else. */
export interface ControlDeps {
  /** The agent's version, for the OpenAPI document. */
  readonly version: string;
  readonly status: () => StatusBody;
  /** Every model that has settings, in the order of first sight. */
  readonly models: () => readonly ControlledModel[];
  /** `settings` are whole and within the bounds. `isImmediate`: without a trial. */
  readonly putSettings: (
    model: string,
    settings: Settings,
    isImmediate: boolean,
  ) => ChangeOutcome | Promise<ChangeOutcome>;
  readonly rollBack: (model: string) => ChangeOutcome | Promise<ChangeOutcome>;
  readonly policy: () => Policy;
  /** The policy is whole and checked. */
  readonly putPolicy: (policy: Policy) => void;
  readonly isPaused: () => boolean;
  readonly setPaused: (isPaused: boolean) => void;
  readonly isBypass: () => boolean;
  readonly setBypass: (isBypass: boolean) => void;
  /** Newest first. */
  readonly history: (filter: { readonly model?: string; readonly limit: number }) => readonly HistoryEntry[];
  /** Newest first. */
  readonly explain: (model: string, limit: number) => readonly Explanation[];
  /** Null until the first window has closed. */
  readonly snapshot: () => Snapshot | null;
  readonly readiness: () => ReadyBody;
  readonly stream: EventHub;
  readonly token: TokenFile;
  readonly log: Logger;
  /** Monotonic ms: for sessions and the rate of failed logins. */
  readonly nowMs: () => number;
}
