// Who asked for an agent: nobody gets one unasked.

export const INJECT_LABEL = 'morphling.io/inject';
const NAMESPACE_LABEL = 'morphling.io/injection';

/** What the labels say about one pod. */
export type Wish =
  | { readonly kind: 'wanted' }
  | { readonly kind: 'unwanted'; readonly reason: string }
  /** Neither label is there. */
  | { readonly kind: 'silent' };

/** The pod's label wins over its namespace's. Words that are neither yes nor no count as no, and are named. */
export function readWish(
  podLabels: Readonly<Record<string, string>>,
  namespaceLabels: Readonly<Record<string, string>>,
): Wish {
  const own = podLabels[INJECT_LABEL];
  if (own !== undefined) return toWish(INJECT_LABEL, own);
  const namespace = namespaceLabels[NAMESPACE_LABEL];
  return namespace === undefined ? { kind: 'silent' } : toWish(`namespace label ${NAMESPACE_LABEL}`, namespace);
}

function toWish(label: string, value: string): Wish {
  if (value === 'true' || value === 'enabled') return { kind: 'wanted' };
  if (value === 'false' || value === 'disabled') return { kind: 'unwanted', reason: `${label} is ${value}` };
  return {
    kind: 'unwanted',
    reason: `${label}: expected true, false, enabled or disabled, got ${JSON.stringify(value)}`,
  };
}
