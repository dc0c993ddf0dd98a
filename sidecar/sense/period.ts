// Does the load repeat? The autocorrelation of arrival counts, and the first peak that chance does not explain.

export interface Period {
  /** Length of one round, s. */
  readonly seconds: number;
  /** Share of the variance of the counts that repeats with this period, 0..1: the unbiased autocorrelation there. */
  readonly confidence: number;
}

/** Three rounds must have been seen: two alike may be chance. */
const LEAST_ROUNDS = 3;
/** Shorter than this many bins is not resolved. */
const LEAST_LAG = 3;
/** Smaller peaks than this explain too little to plan by. */
const LEAST_CORRELATION = 0.3;
/** Under white noise r ~ N(0, 1/n); 5 standard deviations over <= 120 lags: 3e-5 for a look at unrelated counts. */
const LEAST_SIGMA = 5;

/**
 * r(k) = sum (x_t - m)(x_{t+k} - m) / sum (x_t - m)^2 for lags up to a third of the record (Box and Jenkins, Time
 * Series Analysis, ch. 2). A period is the highest local peak after r first fell below 0, if r there passes the
 * bounds above, half a period earlier there is a trough, and twice the period peaks too. The trough and the second
 * peak refuse what only decays: trends, random walks and bursts. Null = none found. O(n^2 / 3).
 */
export function findPeriod(counts: readonly number[], binSeconds: number): Period | null {
  const n = counts.length;
  const mostLag = Math.floor(n / LEAST_ROUNDS);
  if (mostLag <= LEAST_LAG) return null;
  const mean = counts.reduce((sum, count) => sum + count, 0) / n;
  const centred = Float64Array.from(counts, (count) => count - mean);
  const energy = correlate(centred, 0);
  if (energy === 0) return null;
  const r = Array.from({ length: Math.min(n - 1, 2 * mostLag + 2) }, (_, lag) => correlate(centred, lag) / energy);

  const firstNegative = r.findIndex((value) => value < 0);
  if (firstNegative < 0) return null;
  let best = -1;
  for (let lag = Math.max(LEAST_LAG, firstNegative); lag <= mostLag; lag++)
    if (r[lag]! >= r[lag - 1]! && r[lag]! >= (r[lag + 1] ?? 0) && (best < 0 || r[lag]! > r[best]!)) best = lag;
  if (best < 0) return null;
  const height = unbias(r[best]!, best, n);
  const isAboveChance = r[best]! * Math.sqrt(n) >= LEAST_SIGMA && height >= LEAST_CORRELATION;
  const isTrough = r[Math.round(best / 2)]! <= -LEAST_CORRELATION / 2;
  const isRepeated = unbias(r[2 * best] ?? 0, 2 * best, n) >= height / 2;
  if (!isAboveChance || !isTrough || !isRepeated) return null;
  return { seconds: toPeak(r, best) * binSeconds, confidence: Math.min(1, height) };
}

function correlate(centred: Float64Array, lag: number): number {
  let sum = 0;
  for (let t = lag; t < centred.length; t++) sum += centred[t]! * centred[t - lag]!;
  return sum;
}

/** r(k) has n - k products but n in its denominator; this takes the shrinking out. */
function unbias(value: number, lag: number, n: number): number {
  return lag >= n ? 0 : (value * n) / (n - lag);
}

/** Vertex of the parabola through the peak and its neighbours, in lags. */
function toPeak(r: readonly number[], lag: number): number {
  const [left, peak, right] = [r[lag - 1]!, r[lag]!, r[lag + 1] ?? r[lag]!];
  const bend = left - 2 * peak + right;
  return bend >= 0 ? lag : lag + Math.max(-0.5, Math.min(0.5, (0.5 * (left - right)) / bend));
}
