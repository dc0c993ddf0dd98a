// One model's agent in virtual time, as far as a trial needs it: real lane, windows, applier and switchback before the
// modelled engine.
import { Applier } from '../../sidecar/act/apply.ts';
import { Cells } from '../../sidecar/act/cells.ts';
import { Trials } from '../../sidecar/act/trial.ts';
import { Engine } from '../../sidecar/lab/engine.ts';
import type { LatencyCurve } from '../../sidecar/lab/profiles.ts';
import { createLane } from '../../sidecar/proxy/lane.ts';
import { EngineGate } from '../../sidecar/proxy/limit.ts';
import { createSwitchback } from '../../sidecar/proxy/trial.ts';
import type { Batch, Lane, Waiting } from '../../sidecar/proxy/waiting.ts';
import { createSense, type Sense } from '../../sidecar/sense/sense.ts';
import type { Completion, CompletionSink } from '../../src/core/completion.ts';
import type { HistoryEntry } from '../../src/core/history.ts';
import { type Policy, toBounds } from '../../src/core/policy.ts';
import { createRandom, type Random } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';

export interface TrialRigOptions {
  readonly curve: LatencyCurve;
  readonly ratePerS: number | ((atMs: number) => number);
  /** Highest rate, where `ratePerS` changes. */
  readonly ratePerSMax?: number;
  readonly policy: Policy;
  readonly start: Settings;
  readonly seed: number;
  readonly interference?: number;
  /** What the engine is for batches of the candidate; absent: the same. */
  readonly candidateCurve?: LatencyCurve;
  /** Share of the candidate's requests that the engine refuses. */
  readonly candidateLoss?: number;
  /** Nothing is tried: batches are served under these settings (a full run of a candidate). */
  readonly always?: Settings | ((nowMs: number) => Settings);
  /** Told of everything beside the agent, and asked every 10 ms. */
  readonly witness?: Required<CompletionSink> & { look(nowMs: number): void };
}

export interface Served {
  readonly arrivedMs: number;
  readonly latencyMs: number;
  readonly isCandidate: boolean;
}

const MODEL = 'm';
/** How often the agent looks, as in the data process. */
const LOOK_MS = 10;

export class TrialRig {
  readonly applier: Applier;
  readonly cells: Cells;
  readonly trials: Trials;
  readonly sense: Sense;
  readonly entries: (HistoryEntry & { readonly atMs: number })[] = [];
  readonly served: Served[] = [];
  arrived = 0;
  touched = 0;
  nowMs = 0;
  readonly #options: TrialRigOptions;
  readonly #engine: Engine;
  readonly #lane: Lane<Waiting>;
  readonly #arrivals: Random;
  readonly #losses: Random;
  readonly #running = new Map<number, Batch<Waiting>>();
  #nextArrivalMs: number;
  #wakeMs = Infinity;
  #lookMs = LOOK_MS;
  #candidateGeneration = -1;

  constructor(options: TrialRigOptions) {
    const random = createRandom(options.seed);
    const { policy } = options;
    this.#options = options;
    this.#arrivals = random.fork('arrivals');
    this.#losses = random.fork('losses');
    this.#engine = new Engine({
      curve: options.curve,
      interference: options.interference ?? 0.7,
      random: random.fork('noise'),
    });
    this.cells = new Cells({
      boundsOf: () => toBounds(policy, { p99Ms: policy.sla.p99Ms ?? null, isAssumed: false }),
      restore: () => ({ settings: options.start, source: 'start' }),
    });
    this.trials = new Trials({
      createPlayer: createSwitchback,
      policy: () => policy,
      slaMs: () => policy.sla.p99Ms ?? null,
      random: random.fork('slices'),
    });
    this.applier = new Applier({
      cells: this.cells,
      policy: () => policy,
      wallMs: () => this.nowMs,
      trials: this.trials,
    });
    this.applier.subscribe((entry) => this.entries.push({ ...entry, atMs: this.nowMs }));
    this.sense = createSense({
      startMs: 0,
      policy: () => policy,
      version: () => this.cells.get(MODEL).current,
      load: (_, nowMs) => ({
        queueDepth: this.#lane.queuedRequests,
        oldestWaitMs: nowMs - (this.#lane.oldestArrivedMs ?? nowMs),
        inflight: this.#lane.inflight,
      }),
    });
    const { always } = options;
    this.#lane = createLane<Waiting>({
      model: MODEL,
      settings: () =>
        always === undefined
          ? this.applier.versionAt(MODEL, this.nowMs)
          : {
              settings: typeof always === 'function' ? always(this.nowMs) : always,
              // Another object is another rule to the lane, whatever its number.
              generation: 1,
              source: 'start',
            },
      maxBatchSize: () => Infinity,
      sla: () => policy.sla.p99Ms ?? null,
      gate: new EngineGate<Lane<Waiting>>(64),
      queueRequests: 10_000,
      random: random.fork('retry'),
    });
    this.#nextArrivalMs = this.#drawArrival();
  }

  get version() {
    return this.cells.get(MODEL).current;
  }

  get busyMs(): number {
    return this.#engine.busyMs;
  }

  /** As `PUT /v1/settings`. */
  put(settings: Settings, isImmediate = false) {
    return this.applier.setByUser(MODEL, settings, isImmediate, this.sense.windows().get(MODEL) ?? null, this.nowMs);
  }

  status() {
    return this.trials.status(MODEL, this.nowMs);
  }

  /** The newest line of history with one of these results. */
  last(...results: HistoryEntry['result'][]) {
    return this.entries.findLast(({ result }) => results.includes(result)) ?? null;
  }

  /** Goes on until then, or until `isOver` says so (asked every 10 ms). */
  run(untilMs: number, isOver: () => boolean = () => false): this {
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.#nextArrivalMs, this.#engine.nextEndMs, this.#wakeMs, this.#lookMs);
      this.#end();
      if (this.nowMs >= this.#lookMs) {
        this.#look();
        if (isOver()) return this;
      }
      if (this.nowMs >= this.#nextArrivalMs) this.#arrive();
      this.#drive();
    }
    return this;
  }

  #look(): void {
    this.#lookMs += LOOK_MS;
    this.applier.advance(this.nowMs);
    this.#options.witness?.look(this.nowMs);
    this.#candidateGeneration = this.trials.candidate(MODEL)?.version.generation ?? -1;
    if (this.nowMs < this.sense.nextTickMs()) return;
    const snapshot = this.sense.tick(this.nowMs);
    for (const model of snapshot?.models ?? []) this.applier.observe(model, this.nowMs);
  }

  #arrive(): void {
    const nowMs = this.nowMs;
    const request: Waiting = {
      key: '',
      items: 1,
      isBatchable: true,
      arrivedMs: nowMs,
      deadlineMs: Infinity,
      priority: 1,
      slot: -1,
    };
    this.arrived += 1;
    this.sense.arrived(MODEL, 1, 0, nowMs);
    this.trials.arrived(MODEL, 1, 0, nowMs);
    this.#options.witness?.arrived(MODEL, 1, 0, nowMs);
    if (this.#lane.arrive(request, nowMs).kind === 'shed') this.#settle(request, nowMs, null);
    this.#nextArrivalMs = this.#drawArrival();
  }

  #drawArrival(): number {
    const { ratePerS, ratePerSMax } = this.#options;
    if (typeof ratePerS === 'number') return this.nowMs + this.#arrivals.exponential(1000 / ratePerS);
    const highest = ratePerSMax ?? ratePerS(this.nowMs);
    let atMs = this.nowMs;
    do {
      atMs += this.#arrivals.exponential(1000 / highest);
      // Silence, as far as any test goes.
      if (atMs > this.nowMs + 3_600_000) return Infinity;
    } while (this.#arrivals.next() * highest > ratePerS(atMs));
    return atMs;
  }

  #end(): void {
    while (this.#engine.nextEndMs <= this.nowMs) {
      const ended = this.#engine.end(this.nowMs);
      if (ended === null) return;
      const batch = this.#running.get(ended.ticket)!;
      this.#running.delete(ended.ticket);
      this.#lane.finish(batch, 'success', ended.endedMs);
      for (const request of batch.members) this.#settle(request, ended.endedMs, batch);
      const { reason, startedMs, items, inflight, inflightAll, generation } = batch;
      const requests = batch.members.length;
      const durationMs = ended.endedMs - startedMs;
      const completion = { model: MODEL, reason, ending: 'success', startedMs, durationMs, requests, items } as const;
      this.sense.batchCompleted({ ...completion, inflight, inflightAll, generation });
      this.trials.batchCompleted({ ...completion, inflight, inflightAll, generation });
      this.#options.witness?.batchCompleted({ ...completion, inflight, inflightAll, generation });
    }
    this.#engine.end(this.nowMs);
  }

  #drive(): void {
    for (;;) {
      const step = this.#lane.next(this.nowMs);
      if (step.kind === 'dispatch') {
        const isCandidate = step.batch.generation === this.#candidateGeneration;
        const { curve, candidateCurve } = this.#options;
        if (candidateCurve !== undefined) this.#engine.switchCurve(isCandidate ? candidateCurve : curve, this.nowMs);
        if (isCandidate) this.touched += step.batch.members.length;
        this.#running.set(this.#engine.start(step.batch.items, this.nowMs), step.batch);
        this.sense.batchStarted(MODEL, this.nowMs);
        this.trials.batchStarted(MODEL, this.nowMs);
        this.#options.witness?.batchStarted(MODEL, this.nowMs);
        continue;
      }
      this.#wakeMs = step.kind === 'wait' ? step.untilMs : Infinity;
      return;
    }
  }

  #settle(request: Waiting, endedMs: number, batch: Batch<Waiting> | null): void {
    const { arrivedMs } = request;
    const isCandidate = batch !== null && batch.generation === this.#candidateGeneration;
    const isLost = batch === null || (isCandidate && this.#losses.next() < (this.#options.candidateLoss ?? 0));
    if (!isLost) this.served.push({ arrivedMs, latencyMs: endedMs - arrivedMs, isCandidate });
    const completion: Completion = {
      model: MODEL,
      protocol: 'v2',
      code: isLost ? 503 : 200,
      outcome: isLost ? (batch === null ? 'shed' : 'upstream_error') : 'ok',
      ending: isLost ? 'dropped' : 'success',
      arrivedMs,
      endedMs,
      queueMs: (batch?.startedMs ?? endedMs) - arrivedMs,
      upstreamMs: batch === null ? null : endedMs - batch.startedMs,
      firstByteMs: endedMs - arrivedMs,
      items: 1,
      requestBytes: 0,
      responseBytes: 0,
      generation: batch?.generation ?? 0,
    };
    this.sense.completed(completion);
    this.trials.completed(completion);
    this.#options.witness?.completed(completion);
  }
}
