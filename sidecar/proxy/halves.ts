// How a joined call that was refused for a bad member goes on, so that one caller's mistakes do not take the others'
// company away.

/** So few are sent alone at once: halves would take as many calls. */
const ALONE_MAX = 4;

/**
 * What to send instead of a refused group, in order: halves, or each alone. Nobody is executed twice by it, since a
 * refused call executed none. A batch of n of which k are bad takes at most min(1 + 2 k ⌈log2 n⌉, 2 n - 1) calls, where
 * each alone would always take n + 1, and the good ones share most of theirs.
 */
export function toSmallerGroups<T>(members: readonly T[]): (readonly T[])[] {
  if (members.length <= ALONE_MAX) return members.map((member) => [member]);
  const middle = Math.ceil(members.length / 2);
  return [members.slice(0, middle), members.slice(middle)];
}
