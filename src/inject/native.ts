// A native sidecar or an ordinary container, by what the cluster can do.
import type { Note, Refusal } from './result.ts';

/** Native sidecars are on by default since 1.29; before, an init container that never ends blocks the pod. */
const FIRST_MINOR = 29;
/** Services find a named port of a native sidecar since 1.33. */
export const NAMED_PORT_MINOR = 33;
/** What an unknown cluster counts as: any that is newer than all our rules. */
const CURRENT_MINOR = 99;

export interface NativeChoice {
  readonly isNative: boolean;
  readonly notes: readonly Note[];
}

/** The minor number of `1.33` or `v1.35.4+k3s1`; a current one for undefined, null for text that is no version. */
export function toMinor(version: string | undefined): number | null {
  if (version === undefined) return CURRENT_MINOR;
  const match = /^v?1\.(\d{1,3})(?:[.+-]|$)/.exec(version.trim());
  return match === null ? null : Number(match[1]);
}

/** `endsAlone`: a pod whose containers end by themselves, as a Job's; an ordinary agent would keep it running. */
export function chooseNative(
  wanted: 'auto' | 'true' | 'false',
  minor: number,
  endsAlone: boolean,
): NativeChoice | Refusal {
  const isPossible = minor >= FIRST_MINOR;
  const isNative = isPossible && (wanted === 'true' || (wanted === 'auto' && (minor >= NAMED_PORT_MINOR || endsAlone)));
  if (!isNative && endsAlone)
    return {
      kind: 'refused',
      reason: 'the pod ends by itself, and an ordinary container beside it would keep it from ending',
      remedy: isPossible
        ? 'let it be a native sidecar: config.morphling.io/native: auto'
        : `native sidecars need Kubernetes 1.${FIRST_MINOR}; leave this pod out with the label morphling.io/inject: "false"`,
    };
  if (wanted === 'true' && !isPossible)
    return {
      isNative,
      notes: [
        {
          message: `Kubernetes 1.${minor} has no native sidecars, so the agent is an ordinary container`,
          remedy: `Kubernetes 1.${FIRST_MINOR} or later has them`,
        },
      ],
    };
  if (isNative && minor < NAMED_PORT_MINOR)
    return {
      isNative,
      notes: [
        {
          message: `Services of Kubernetes 1.${minor} do not find a named port of a native sidecar`,
          remedy: 'use native: auto, or give Services the number of the data port as targetPort',
        },
      ],
    };
  return { isNative, notes: [] };
}
