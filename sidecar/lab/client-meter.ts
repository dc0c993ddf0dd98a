// What a client saw: every request's fate, exact quantiles, and the last seconds for a live view.

/** How a request ended, as its caller sees it. */
export type Fate =
  /** the right answer */
  | 'ok'
  /** refused by the agent so that others are served */
  | 'shed'
  /** an answer with another status */
  | 'error'
  /** status 200 with someone else's answer, or an unreadable one */
  | 'wrong'
  /** no answer in time, or the connection broke */
  | 'timeout';

/** Figures of a whole run. */
export interface ClientSummary {
  readonly requests: number;
  readonly fates: Readonly<Record<Fate, number>>;
  /** Everything but `ok`. */
  readonly lost: number;
  /** Of the right answers, ms from the intended start; null when there was none. */
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
  /** Right answers within the SLA per second of the run. */
  readonly goodputPerS: number;
  /** Right answers within the SLA / requests, 0..1; 1 when nothing was asked. */
  readonly attainmentRatio: number;
  /** How late requests were sent, ms: the generator's own error. It is part of every latency above. */
  readonly scheduleErrorP99Ms: number;
  /** Seconds from the first intended start to the end of the schedule. */
  readonly durationS: number;
}

/** The last second or so, for eyes. */
export interface ClientGlance {
  readonly sentPerS: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly inFlight: number;
  readonly sent: number;
  readonly lost: number;
}

interface Ended {
  readonly atMs: number;
  readonly latencyMs: number;
}

const GLANCE_MS = 2000;

/** Collects; owns nothing but numbers. Times are monotonic ms of the caller. */
export class ClientMeter {
  readonly #slaMs: number;
  readonly #fates: Record<Fate, number> = { ok: 0, shed: 0, error: 0, wrong: 0, timeout: 0 };
  readonly #latenciesMs: number[] = [];
  readonly #scheduleErrorsMs: number[] = [];
  #recent: Ended[] = [];
  #recentSends: number[] = [];
  #sent = 0;
  #ended = 0;
  #inSla = 0;

  constructor(slaMs: number) {
    this.#slaMs = slaMs;
  }

  sent(atMs: number, lateMs: number): void {
    this.#sent++;
    this.#scheduleErrorsMs.push(lateMs);
    this.#recentSends.push(atMs);
  }

  /** Exactly once for each `sent`. `latencyMs` counts from the intended start. */
  ended(fate: Fate, latencyMs: number, atMs: number): void {
    this.#ended++;
    this.#fates[fate]++;
    if (fate !== 'ok') return;
    this.#latenciesMs.push(latencyMs);
    this.#recent.push({ atMs, latencyMs });
    if (latencyMs <= this.#slaMs) this.#inSla++;
  }

  get inFlight(): number {
    return this.#sent - this.#ended;
  }

  glance(nowMs: number): ClientGlance {
    const fromMs = nowMs - GLANCE_MS;
    this.#recent = this.#recent.filter(({ atMs }) => atMs > fromMs);
    this.#recentSends = this.#recentSends.filter((atMs) => atMs > fromMs);
    const sorted = this.#recent.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
    return {
      sentPerS: (1000 * this.#recentSends.length) / GLANCE_MS,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      inFlight: this.inFlight,
      sent: this.#sent,
      lost: this.#ended - this.#fates.ok,
    };
  }

  summary(durationS: number): ClientSummary {
    const sorted = Float64Array.from(this.#latenciesMs).sort();
    const errors = Float64Array.from(this.#scheduleErrorsMs).sort();
    return {
      requests: this.#sent,
      fates: { ...this.#fates },
      lost: this.#sent - this.#fates.ok,
      p50Ms: quantile(sorted, 0.5),
      p90Ms: quantile(sorted, 0.9),
      p99Ms: quantile(sorted, 0.99),
      maxMs: quantile(sorted, 1),
      goodputPerS: this.#inSla / durationS,
      attainmentRatio: this.#sent === 0 ? 1 : this.#inSla / this.#sent,
      scheduleErrorP99Ms: quantile(errors, 0.99) ?? 0,
      durationS,
    };
  }
}

/** The smallest value that at least `q` of the sorted values do not exceed; null when there is none. */
export function quantile(sorted: ArrayLike<number>, q: number): number | null {
  if (sorted.length === 0) return null;
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}
