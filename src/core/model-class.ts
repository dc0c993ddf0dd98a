// What must be alike before one run's settings are worth anything to another: the key of all learned state.

/** Null = not known (yet). */
export interface ModelClass {
  readonly model: string;
  readonly version: string | null;
  readonly engine: string | null;
  /** Name of the device, `Tesla T4`. */
  readonly gpu: string | null;
}

/** Unambiguous for any names: each part is percent-encoded, `*` stands for unknown. */
export function toClassKey(of: ModelClass): string {
  return [of.model, of.version, of.engine, of.gpu].map(encodePart).join('|');
}

/** True when nothing known of both differs: an unknown part fits everything. */
export function isSameClass(a: ModelClass, b: ModelClass): boolean {
  const fits = (x: string | null, y: string | null): boolean => x === null || y === null || x === y;
  return a.model === b.model && fits(a.version, b.version) && fits(a.engine, b.engine) && fits(a.gpu, b.gpu);
}

function encodePart(part: string | null): string {
  if (part === null) return '*';
  // Lone surrogates would make encodeURIComponent throw; a name with one is not worth failing for.
  return encodeURIComponent(part.toWellFormed()).replaceAll('*', '%2A');
}
