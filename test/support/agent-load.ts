// Bounded load for the end-to-end tests: so many callers at once, or a schedule that no slow server can stretch.
import { Agent } from 'node:http';
import { createRandom } from '../../src/core/random.ts';
import { ask, type Answered, type Asked } from './peers/http-ask.ts';

/** What part of a test's full size is run: MORPHLING_TEST_SCALE, 0.2 unless it is set. 1 is what the figures are of. */
export function testScale(): number {
  const scale = Number(process.env['MORPHLING_TEST_SCALE'] || 0.2);
  if (!(scale > 0 && scale <= 1)) throw new Error(`MORPHLING_TEST_SCALE must be above 0 and at most 1, is ${scale}`);
  return scale;
}

/** Runs `work` for 0..count-1, at most `concurrency` at a time; the first error ends it. */
export async function runMany(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker));
}

export interface LoadResult {
  readonly sent: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Of answers with status 200, sorted, ms; open loop: from the intended start. */
  readonly latenciesMs: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers with status 200 a second. */
  readonly goodPerS: number;
  readonly durationS: number;
  /** How late the generator itself was, p99, ms; 0 in a closed loop, which has no schedule. */
  readonly lateP99Ms: number;
}

/** A refused caller of a closed loop comes again after so long: at once it would only measure refusals. */
const BACK_OFF_MS = 100;

/** A caller each of `concurrency` keep-alive connections, one request after another, for so long. */
export async function closedLoop(
  port: number,
  options: { readonly concurrency: number; readonly durationMs: number; readonly request: (n: number) => Asked },
): Promise<LoadResult> {
  const { concurrency, durationMs, request } = options;
  const keepAlive = new Agent({ keepAlive: true, maxSockets: concurrency });
  const meter = new Meter();
  const startMs = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - startMs < durationMs) {
      const sentMs = performance.now();
      const isGood = await meter.count(sentMs, ask(port, { ...request(meter.sent), agent: keepAlive }));
      if (!isGood) await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  const durationS = (performance.now() - startMs) / 1000;
  keepAlive.destroy();
  return meter.result(durationS, []);
}

/** Poisson arrivals at a rate for so long; each is sent at its time whatever became of the others. */
export async function openLoop(
  port: number,
  options: {
    readonly ratePerS: number;
    readonly durationMs: number;
    readonly seed: number;
    readonly request: (n: number) => Asked;
    /** Told of every answer as it comes, ms from the intended start. */
    readonly onAnswer?: (atMs: number, latencyMs: number, status: number) => void;
  },
): Promise<LoadResult> {
  const { ratePerS, durationMs, request } = options;
  const random = createRandom(options.seed);
  const keepAlive = new Agent({ keepAlive: true, maxSockets: 1024 });
  const meter = new Meter(options.onAnswer);
  const open: Promise<boolean>[] = [];
  const latesMs: number[] = [];
  const startMs = performance.now();
  for (let atMs = random.exponential(1000 / ratePerS); atMs < durationMs; atMs += random.exponential(1000 / ratePerS)) {
    const waitMs = startMs + atMs - performance.now();
    if (waitMs > 0.5) await new Promise((resolve) => setTimeout(resolve, waitMs));
    latesMs.push(Math.max(0, performance.now() - startMs - atMs));
    open.push(meter.count(startMs + atMs, ask(port, { ...request(meter.sent), agent: keepAlive })));
  }
  await Promise.all(open);
  keepAlive.destroy();
  return meter.result(durationMs / 1000, latesMs);
}

/** The smallest value that a share `q` of the sorted values does not exceed; NaN when there is none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** `p50 3.1 ms, p99 8.0 ms, 310/s` */
export function formatLoad({ p50Ms, p99Ms, goodPerS, statuses }: LoadResult): string {
  const others = Object.entries(statuses).filter(([status]) => status !== '200');
  const rest = others.map(([status, count]) => `, ${count} x ${status}`).join('');
  return `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${goodPerS.toFixed(0)}/s${rest}`;
}

class Meter {
  readonly #latenciesMs: number[] = [];
  readonly #statuses: Record<string, number> = {};
  readonly #onAnswer: ((atMs: number, latencyMs: number, status: number) => void) | undefined;
  #sent = 0;

  constructor(onAnswer?: (atMs: number, latencyMs: number, status: number) => void) {
    this.#onAnswer = onAnswer;
  }

  get sent(): number {
    return this.#sent;
  }

  /** True for an answer with status 200. */
  async count(fromMs: number, asking: Promise<Answered>): Promise<boolean> {
    this.#sent += 1;
    let status = 0;
    try {
      ({ status } = await asking);
    } catch {
      // No answer at all is counted as status 0.
    }
    const nowMs = performance.now();
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    if (status === 200) this.#latenciesMs.push(nowMs - fromMs);
    this.#onAnswer?.(nowMs, nowMs - fromMs, status);
    return status === 200;
  }

  result(durationS: number, latesMs: readonly number[]): LoadResult {
    const latenciesMs = this.#latenciesMs.toSorted((a, b) => a - b);
    return {
      sent: this.#sent,
      statuses: this.#statuses,
      latenciesMs,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      goodPerS: latenciesMs.length / durationS,
      durationS,
      lateP99Ms:
        latesMs.length === 0
          ? 0
          : quantile(
              latesMs.toSorted((a, b) => a - b),
              0.99,
            ),
    };
  }
}
