// Evidence that may be looked at after every block: an e-process for slices whose arms were drawn by lot.

/**
 * In a block of m slices, k were drawn by lot for the candidate. If the candidate changes nothing, which k it was says
 * nothing about the values x of the slices, so for any tilt lambda fixed beforehand
 *
 *     e = exp(lambda * sum of the candidate's x) / mean over all C(m, k) draws of exp(lambda * sum of their x)
 *
 * has mean 1 given the values themselves: whatever their distribution, however heavy their tail, drift or period. The
 * product over blocks is a test martingale, and by Ville's inequality it ever reaches 1 / alpha with a chance of at
 * most alpha: looking at it after every block costs nothing. A candidate that is better makes e smaller still.
 *
 * Sources: N. W. Koning, "Measuring Evidence against Exchangeability and Group Invariance with E-values", arXiv
 * 2310.01153 (e-values on orbits, their product, the softmax as the likelihood ratio against a normal shift); A. Ramdas,
 * P. Grunwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference", arXiv 2210.01948.
 *
 * Against a shift d of values with noise sigma the best tilt is d / sigma^2. As d is not known, several are mixed, which
 * keeps the mean at 1: the mixture SPRT (H. Robbins, 1970) of this test.
 */
export class Evidence {
  readonly #logs: number[];

  /** `tilts`: how many lambdas each block comes with. */
  constructor(tilts: number) {
    this.#logs = Array.from({ length: tilts }, () => 0);
  }

  /** ln of the evidence so far; 0 at the start. To be held against ln(1 / alpha). */
  get log(): number {
    return logSumExp(this.#logs) - Math.log(this.#logs.length);
  }

  /** One block. `lambdas` may depend on earlier blocks, and on these values as long as their order plays no part. */
  add(values: readonly number[], isCandidate: readonly boolean[], lambdas: readonly number[]): void {
    for (const [index, lambda] of lambdas.entries()) this.#logs[index]! += toLogE(values, isCandidate, lambda);
  }
}

/** ln e of one block, see `Evidence`; at most ln C(m, k). */
export function toLogE(values: readonly number[], isCandidate: readonly boolean[], lambda: number): number {
  // A common shift of all values cancels; taking the largest away keeps the powers small.
  const top = Math.max(...values.map((value) => lambda * value));
  const tilted = values.map((value) => lambda * value - top);
  let own = 0;
  let drawn = 0;
  for (const [index, is] of isCandidate.entries()) {
    if (!is) continue;
    own += tilted[index]!;
    drawn += 1;
  }
  return own - toLogMeanOverDraws(tilted, drawn);
}

/**
 * ln of the mean over all draws of k out of m of exp(sum of the drawn): the elementary symmetric polynomial of degree
 * k of exp(x), by its recursion over the values, over C(m, k). In logarithms, as products of many small powers vanish.
 */
function toLogMeanOverDraws(tilted: readonly number[], drawn: number): number {
  const sums = [0, ...Array.from({ length: drawn }, () => -Infinity)];
  const counts = [0, ...Array.from({ length: drawn }, () => -Infinity)];
  for (const value of tilted) {
    for (let k = drawn; k >= 1; k--) {
      sums[k] = logSumExp([sums[k]!, sums[k - 1]! + value]);
      counts[k] = logSumExp([counts[k]!, counts[k - 1]!]);
    }
  }
  return sums[drawn]! - counts[drawn]!;
}

function logSumExp(logs: readonly number[]): number {
  const top = Math.max(...logs);
  return top === -Infinity ? top : top + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - top), 0));
}
