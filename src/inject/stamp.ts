// The stamp on what was changed: how a second run knows the first one, and how it is undone.
import { isRecord, listAt, at, textAt } from './pod.ts';
import type { InjectionStatus } from './result.ts';

export const STATUS_ANNOTATION = 'morphling.io/status';

/** On a template that is only labelled, for the webhook to inject its pods. */
export interface LabelStamp {
  readonly version: string;
  /** The label was put there by us, so uninject takes it away. */
  readonly labelled: true;
  readonly absent: readonly string[];
}

/** On a Service or an InferencePool: where its ports led before; without `was`: nowhere in particular. */
export interface TargetStamp {
  readonly version: string;
  readonly targets: readonly (readonly [index: number, is: unknown, was?: unknown])[];
  readonly absent: readonly string[];
}

/** One line of JSON. */
export function formatStamp(stamp: InjectionStatus | LabelStamp | TargetStamp): string {
  return JSON.stringify(stamp);
}

/** Null where there is no stamp of an injected pod, or it cannot be understood. */
export function readStatus(annotations: Readonly<Record<string, string>>): InjectionStatus | null {
  const stamp = read(annotations);
  const [port, ports, undo] = [at(stamp, 'model', 'port'), at(stamp, 'ports'), at(stamp, 'undo')];
  const isWhole =
    typeof port === 'number' &&
    textAt(stamp, 'container') !== '' &&
    textAt(stamp, 'volume') !== '' &&
    ['data', 'metrics', 'control'].every((key) => typeof at(ports, key) === 'number') &&
    ['names', 'values', 'absent', 'nulls'].every((key) => Array.isArray(at(undo, key)));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the members that are read were looked at
  return isWhole ? (stamp as InjectionStatus) : null;
}

export function readLabelStamp(annotations: Readonly<Record<string, string>>): LabelStamp | null {
  const stamp = read(annotations);
  if (at(stamp, 'labelled') !== true) return null;
  return { version: textAt(stamp, 'version'), labelled: true, absent: textsOf(listAt(stamp, 'absent')) };
}

export function readTargetStamp(annotations: Readonly<Record<string, string>>): TargetStamp | null {
  const stamp = read(annotations);
  if (!Array.isArray(at(stamp, 'targets'))) return null;
  const targets = listAt(stamp, 'targets').flatMap((one) =>
    Array.isArray(one) && typeof one[0] === 'number'
      ? [one.length < 3 ? ([one[0], one[1]] as const) : ([one[0], one[1], one[2]] as const)]
      : [],
  );
  return { version: textAt(stamp, 'version'), targets, absent: textsOf(listAt(stamp, 'absent')) };
}

function read(annotations: Readonly<Record<string, string>>): unknown {
  try {
    const stamp: unknown = JSON.parse(annotations[STATUS_ANNOTATION] ?? '');
    return isRecord(stamp) ? stamp : null;
  } catch {
    return null;
  }
}

function textsOf(list: readonly unknown[]): string[] {
  return list.filter((one): one is string => typeof one === 'string');
}
