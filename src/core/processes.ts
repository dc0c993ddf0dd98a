// What the three processes of the agent say to one another, as JSON over their pipes.
import type { HistoryEntry } from './history.ts';
import type { Explanation, Proposal } from './proposal.ts';
import type { Policy } from './policy.ts';
import type { Snapshot, TelemetryReading } from './snapshot.ts';

/** data -> mind, relayed by the supervisor. */
export type ToMind =
  | { readonly kind: 'policy'; readonly policy: Policy; readonly isPaused: boolean }
  /** `telemetry` is null: the mind reads it itself. */
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  /** What became of a change, whoever asked for it. */
  | { readonly kind: 'changed'; readonly entry: HistoryEntry };

/** mind -> data, relayed by the supervisor. */
export type ToData =
  | { readonly kind: 'telemetry'; readonly reading: TelemetryReading }
  | { readonly kind: 'apply'; readonly proposal: Proposal }
  | { readonly kind: 'explain'; readonly explanation: Explanation };

/** Why a child had to be started again. */
export type RestartReason =
  /** it ended by itself, or somebody ended it */
  | 'crash'
  /** its event loop answered nothing for too long */
  | 'hung'
  /** it took more memory than it may */
  | 'memory';

/** Restarts since the supervisor started. */
export type RestartCounts = Readonly<Record<'data' | 'mind', Readonly<Record<RestartReason, number>>>>;

/** child -> supervisor. */
export type ToSupervisor =
  /** the event loop runs: the answer to `ping` */
  | { readonly kind: 'pong' }
  /** data: connections may be handed over; mind: started. */
  | { readonly kind: 'ready' }
  /** data: has this connection, before it read a byte of it; the supervisor may let go of its own handle. */
  | { readonly kind: 'accepted'; readonly id: number }
  /** data: traffic has been seen, so a mind is worth its memory. */
  | { readonly kind: 'start-mind' }
  | { readonly kind: 'relay'; readonly to: 'data' | 'mind'; readonly message: ToData | ToMind };

/** supervisor -> child. */
export type FromSupervisor =
  /** to be answered with `pong` at once */
  | { readonly kind: 'ping' }
  /** data: for its metrics page; sent when it is ready and whenever one ends */
  | { readonly kind: 'restarts'; readonly counts: RestartCounts }
  /** data: with a socket handle; `id` counts up, and is answered by `accepted`. */
  | { readonly kind: 'connection'; readonly id: number }
  | { readonly kind: 'drain' }
  | { readonly kind: 'mind'; readonly state: 'up' | 'down' }
  | { readonly kind: 'relayed'; readonly message: ToData | ToMind };
