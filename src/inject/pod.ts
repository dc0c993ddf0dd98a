// Reading pods that anyone may have written: fields may be absent, null or of another type than they should be.

export type JsonRecord = Readonly<Record<string, unknown>>;

/** What injection looks at: a pod, or a template's `{metadata, spec}`. */
export interface PodLike {
  readonly metadata?: unknown;
  readonly spec?: unknown;
}

/** A container and where it stands in its list. */
export interface Container {
  readonly index: number;
  readonly name: string;
  readonly raw: JsonRecord;
}

/** A declared port and where it stands in its container's list. */
export interface Port {
  readonly index: number;
  /** Empty where it has none. */
  readonly name: string;
  readonly number: number;
  readonly isTcp: boolean;
  readonly raw: JsonRecord;
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a path of keys; undefined where a key on the way is missing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const key of path) {
    if (Array.isArray(current)) current = current[Number(key)];
    else current = isRecord(current) && Object.hasOwn(current, key) ? current[String(key)] : undefined;
  }
  return current;
}

/** The list at a path; empty where there is none. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The text at a path; empty where there is none. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** The members of a map that are texts, as labels and annotations should be. */
export function textsAt(value: unknown, ...path: readonly (string | number)[]): Readonly<Record<string, string>> {
  const found = at(value, ...path);
  const entries = isRecord(found) ? Object.entries(found) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Containers, or init containers; entries that are no containers are passed over but keep their index. */
export function containersOf(pod: PodLike, list: 'containers' | 'initContainers' = 'containers'): Container[] {
  return listAt(pod, 'spec', list).flatMap((raw, index) =>
    isRecord(raw) ? [{ index, name: textAt(raw, 'name'), raw }] : [],
  );
}

/** Declared ports with a number that one can listen on. */
export function portsOf(container: Container): Port[] {
  return listAt(container.raw, 'ports').flatMap((raw, index) => {
    const number = at(raw, 'containerPort');
    if (!isRecord(raw) || typeof number !== 'number' || !Number.isInteger(number)) return [];
    if (number < 1 || number > 65_535) return [];
    const protocol = at(raw, 'protocol') ?? 'TCP';
    return [{ index, name: textAt(raw, 'name'), number, isTcp: protocol === 'TCP', raw }];
  });
}
