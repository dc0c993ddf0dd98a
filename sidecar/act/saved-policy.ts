// A policy that a person set over the API outlives a restart, until the configured one is changed.
import type { Policy } from '../../src/core/policy.ts';

/** What the state file holds. `base` is the policy of the configuration that it was laid over. */
export interface SavedPolicy {
  readonly base: Policy;
  readonly policy: Policy;
}

/**
 * The saved policy, unchecked (`parsePolicy` does that), or null when the configuration has changed since: whoever
 * edits the file last means it.
 */
export function restorePolicy(saved: unknown, base: Policy): unknown {
  if (typeof saved !== 'object' || saved === null || !('base' in saved) || !('policy' in saved)) return null;
  return toKey(saved.base) === toKey(base) ? saved.policy : null;
}

/** JSON with sorted keys, so that the order of a file does not count as a change. */
function toKey(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
