// Configuration is built once and never changes after: frozen all the way down.

/** Freezes plain objects and lists in place, at every depth, and gives the same object back. */
export function freezeDeep<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freezeDeep(inner);
  }
  return value;
}
