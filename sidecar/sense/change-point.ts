// Has the arrival rate jumped? A sequential test on counts with a proven bound on false alarms.

/** How often the counts are looked at, ms. Eight looks in the 2 s within which a jump must be seen. */
export const LOOK_MS = 250;

/** A jump that was seen. */
export interface RateChange {
  readonly kind: 'up' | 'down';
  /** Arrivals per second before and after. */
  readonly fromPerS: number;
  readonly toPerS: number;
  /** How long the new rate had been in force when it was seen, ms: the window that told it. */
  readonly sinceMs: number;
}

/** Looks in each of the recent windows that are compared with the past: 0.25 s .. 32 s. */
const WINDOW_LOOKS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128];
/** Looks of the past a recent window is compared with: two minutes. */
const PAST_LOOKS = 480;
/** Less past than this (5 s) is no ground to stand on. */
const LEAST_PAST_LOOKS = 20;
/**
 * Nats of evidence. Each look makes windows x two sides = 16 comparisons of false alarm <= e^-10.5, so an hour of
 * 14,400 looks has at most 6.3 by the union bound; the windows overlap, so the true number is far lower: measured on
 * Poisson arrivals of 0.1/s to 1000/s, 0 to 24 in 100 h (test/sidecar/sense/change-point.test.ts).
 */
const THRESHOLD = 10.5;
/** Smaller changes may be true but are no jump: the diurnal curve must not keep an agent in burst mode. */
const LEAST_RATIO = 1.5;
/** Ring of cumulative counts, longer than past + longest window. */
const RING = 1024;

/**
 * Window-limited generalised likelihood ratio test (Willsky and Jones, IEEE TAC 21(1), 1976; Lai, JRSS B 57(4),
 * 1995) of the counts in the last m looks against those in the two minutes before them.
 *
 * With n of N = n + n0 arrivals in the recent window and p = m / (m + m0) its share of the time, n is binomial(N, p)
 * given N under "no change", whatever the unknown rate (Przyborowski and Wilenski, Biometrika 31, 1940). The
 * statistic is G = N * KL(n/N || p), KL the relative entropy of two coins in nats, and Chernoff's bound (Hoeffding,
 * JASA 58, 1963, theorem 1) gives P(G > h on one side) <= e^-h exactly, for any N: no asymptotics, so small counts
 * keep it too. G is divided by the index of dispersion of the past (at least 1), as quasi-likelihood does for
 * counts that are burstier than Poisson.
 *
 * What it sees: a jump by the factor r needs about h / (r ln r - r + 1) arrivals at the old rate, 10.5 / 1.3 = 8 of
 * them for r = 3. Measured delay of a 3x step, p50 / p99: 0.25 / 0.25 s at 100/s and above, 0.5 / 1 s at 30/s,
 * 1 / 2.75 s at 10/s, 3.3 / 8 s at 3/s, 9 / 29 s at 1/s: within 2 s from about 15/s up, later below.
 */
export class RateChangeTest {
  /** Cumulative count, and cumulative sum of squared counts, before look i, in a ring. */
  readonly #sums = new Float64Array(RING);
  readonly #squares = new Float64Array(RING);
  #looks = 0;
  /** First look that belongs to the present regime. */
  #regimeStart = 0;

  /** Takes the arrivals of one look (LOOK_MS long); null when nothing jumped. After a jump the past starts anew. */
  look(count: number): RateChange | null {
    const at = this.#looks % RING;
    const next = (at + 1) % RING;
    this.#sums[next] = this.#sums[at]! + count;
    this.#squares[next] = this.#squares[at]! + count * count;
    this.#looks += 1;
    for (const window of WINDOW_LOOKS) {
      const change = this.#compare(window);
      if (change === null) continue;
      this.#regimeStart = this.#looks - window;
      return change;
    }
    return null;
  }

  #compare(recentLooks: number): RateChange | null {
    const split = this.#looks - recentLooks;
    const pastStart = Math.max(this.#regimeStart, split - PAST_LOOKS);
    const pastLooks = split - pastStart;
    if (pastLooks < LEAST_PAST_LOOKS) return null;
    const recent = since(this.#sums, split, this.#looks);
    const past = since(this.#sums, pastStart, split);
    const total = recent + past;
    if (total === 0) return null;
    const recentRate = recent / recentLooks;
    const pastRate = past / pastLooks;
    const isJump = recentRate >= LEAST_RATIO * pastRate || recentRate * LEAST_RATIO <= pastRate;
    if (!isJump) return null;
    const evidence = total * coinEntropy(recent / total, recentLooks / (recentLooks + pastLooks));
    if (evidence <= THRESHOLD) return null;
    const variance = since(this.#squares, pastStart, split) / pastLooks - pastRate * pastRate;
    const dispersion = pastRate === 0 ? 1 : Math.max(1, variance / pastRate);
    if (evidence / dispersion <= THRESHOLD) return null;
    const perS = 1000 / LOOK_MS;
    return {
      kind: recentRate > pastRate ? 'up' : 'down',
      fromPerS: pastRate * perS,
      toPerS: recentRate * perS,
      sinceMs: recentLooks * LOOK_MS,
    };
  }
}

function since(cumulative: Float64Array, from: number, to: number): number {
  return cumulative[to % RING]! - cumulative[from % RING]!;
}

/** Relative entropy of a coin q against a coin p, nats. */
function coinEntropy(q: number, p: number): number {
  const heads = q === 0 ? 0 : q * Math.log(q / p);
  const tails = q === 1 ? 0 : (1 - q) * Math.log((1 - q) / (1 - p));
  return heads + tails;
}
