// Has the latency jumped? A CUSUM on block means of its logarithm, for either side.

/** One block of completions, ms. Means over a block absorb what members of one batch share. */
export const BLOCK_MS = 1000;

/** Blocks of the past that give mean and spread: a minute of traffic. */
const PAST_BLOCKS = 60;
/** Fewer blocks of past than this give no spread to measure against. */
const LEAST_PAST_BLOCKS = 15;
/** Slack in standard deviations: half of the shift of two that is looked for. */
const SLACK = 1;
/**
 * Page's decision interval in standard deviations. Siegmund's approximation of the time between false alarms,
 * (e^(2kb) - 1 - 2kb) / (2k^2) blocks with b = h + 1.166, k = 1, h = 5: 113,000 s = 31 h a side if blocks are
 * independent and normal.
 */
const DECISION = 5;
/** One block may carry at most this much, so that a single slow request never fires alone. */
const MOST_PER_BLOCK = 3;
/** Least spread, in ln: below 10 % jitter of the block mean a change is not worth calling one. */
const LEAST_SPREAD = 0.1;
/** Least shift of the geometric mean that counts: ln 1.5. */
const LEAST_SHIFT = Math.log(1.5);

/** A latency level that changed. */
export interface LatencyChange {
  readonly kind: 'up' | 'down';
  /** Geometric means before and after, ms. */
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Two-sided CUSUM (Page, Biometrika 41, 1954; Siegmund, Sequential Analysis, 1985) of z = (x - mean) / spread, x the
 * mean of ln(latency) in a block: S+ = max(0, S+ + z - k), fires at S+ > h; S- likewise. Mean and spread come from
 * the minute before the run began, so a change cannot hide in its own baseline. A shift to 2x at 10 % jitter is seen
 * in two to three blocks, at 30 % in about four. Latencies of a busy queue are correlated over more than a block; the least
 * shift of 1.5x is what keeps slow waves from firing.
 */
export class LatencyChangeTest {
  #past: number[] = [];
  /** Blocks of the present runs, not yet part of the past. */
  #pending: number[] = [];
  #up = 0;
  #down = 0;
  #blockSum = 0;
  #blockCount = 0;

  /** One success, ms. */
  record(latencyMs: number): void {
    this.#blockSum += Math.log(Math.max(1e-3, latencyMs));
    this.#blockCount += 1;
  }

  /** Ends the block; a block without completions says nothing. Null when nothing changed. */
  endBlock(): LatencyChange | null {
    if (this.#blockCount === 0) return null;
    const mean = this.#blockSum / this.#blockCount;
    this.#blockSum = 0;
    this.#blockCount = 0;
    return this.#observe(mean);
  }

  #observe(x: number): LatencyChange | null {
    if (this.#past.length < LEAST_PAST_BLOCKS) {
      this.#past.push(x);
      return null;
    }
    const [mean, spread] = toMeanAndSpread(this.#past);
    const z = Math.max(-MOST_PER_BLOCK - SLACK, Math.min(MOST_PER_BLOCK + SLACK, (x - mean) / spread));
    this.#up = Math.max(0, this.#up + z - SLACK);
    this.#down = Math.max(0, this.#down - z - SLACK);
    this.#pending.push(x);
    if (this.#up === 0 && this.#down === 0) this.#absorb();
    if (this.#up <= DECISION && this.#down <= DECISION) return null;
    const [now] = toMeanAndSpread(this.#pending);
    if (Math.abs(now - mean) < LEAST_SHIFT) {
      // A small lasting shift: learn it instead of alarming again and again.
      if (this.#pending.length >= LEAST_PAST_BLOCKS) this.#absorb();
      return null;
    }
    this.#past = [];
    this.#pending = [];
    const kind = this.#up > DECISION ? 'up' : 'down';
    this.#up = 0;
    this.#down = 0;
    return { kind, fromMs: Math.exp(mean), toMs: Math.exp(now) };
  }

  #absorb(): void {
    this.#past.push(...this.#pending);
    this.#past.splice(0, Math.max(0, this.#past.length - PAST_BLOCKS));
    this.#pending = [];
    this.#up = 0;
    this.#down = 0;
  }
}

function toMeanAndSpread(values: readonly number[]): [mean: number, spread: number] {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return [mean, Math.max(LEAST_SPREAD, Math.sqrt(Math.max(0, squares / values.length - mean * mean)))];
}
