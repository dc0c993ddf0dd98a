// What the proxy gives up, step by step, as memory runs out: a kernel kill would take the whole container with it.

/** From which share of the limit on. */
export type Pressure =
  | 'none'
  /** 85 %: bodies in memory may not grow beyond what they take now */
  | 'tight'
  /** 92 %: answers close their connections, whose buffers go with them */
  | 'closing'
  /** 95 %: inference is shed before its body is read */
  | 'shedding';

const FROM_RATIO: readonly (readonly [Pressure, number])[] = [
  ['shedding', 0.95],
  ['closing', 0.92],
  ['tight', 0.85],
];
/** So far below its threshold a step is taken back: memory that was just freed is no reason to fill it again. */
const BACK_RATIO = 0.03;

/** The step for a share of the limit, given the step that holds now. */
export function toPressure(ratio: number, now: Pressure): Pressure {
  for (const [pressure, fromRatio] of FROM_RATIO) {
    if (ratio >= (isAtLeast(now, pressure) ? fromRatio - BACK_RATIO : fromRatio)) return pressure;
  }
  return 'none';
}

export function isAtLeast(pressure: Pressure, least: Pressure): boolean {
  return ORDER.indexOf(pressure) >= ORDER.indexOf(least);
}

const ORDER: readonly Pressure[] = ['none', 'tight', 'closing', 'shedding'];
