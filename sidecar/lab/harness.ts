// The agent's rooms in virtual time: arrivals -> lane -> engine -> completions -> windows -> rule -> guard -> settings.
import type { Completion, Ending, Outcome } from '../../src/core/completion.ts';
import { type SlaTarget, toBounds, toSlaTarget } from '../../src/core/policy.ts';
import type { Explanation } from '../../src/core/proposal.ts';
import { createRandom } from '../../src/core/random.ts';
import {
  type Bounds,
  clampSettings,
  isSameSettings,
  type Settings,
  type SettingsSource,
  type SettingsVersion,
  START_SETTINGS,
} from '../../src/core/settings.ts';
import type { ModelSnapshot, Snapshot } from '../../src/core/snapshot.ts';
import { toDecideContext } from '../decide/context.ts';
import { Guard } from '../decide/guard.ts';
import { Reflex } from '../decide/reflex.ts';
import { createLane } from '../proxy/lane.ts';
import { EngineGate } from '../proxy/limit.ts';
import type { Batch, Lane, Waiting } from '../proxy/waiting.ts';
import { createSense, type Sense } from '../sense/sense.ts';
import { DEFAULT_INTERFERENCE, Engine } from './engine.ts';
import type { HarnessOptions, HarnessResult, WindowRecord } from './harness-options.ts';
import { Tally } from './tally.ts';

const MODEL = 'lab';
/** A hard stop behind the bound in time, as in the agent's default. */
const QUEUE_REQUESTS = 10_000;

interface LabRequest extends Waiting {
  slot: number;
}

interface Flight {
  readonly batch: Batch<LabRequest>;
  readonly ticket: number;
}

/** Runs to the last answer, or until everything that came was shed. Synchronous; the same options give the same run. */
export function runHarness(options: HarnessOptions): HarnessResult {
  const run = new Run(options);
  return run.play();
}

/** One run's state. The order at one instant: engine ends, senses, arrivals, lane. */
class Run {
  readonly #options: HarnessOptions;
  readonly #engine: Engine;
  readonly #lane: Lane<LabRequest>;
  readonly #sense: Sense;
  readonly #tally: Tally;
  readonly #guard = new Guard();
  readonly #reflex = new Reflex();
  readonly #flights = new Map<number, Flight>();
  readonly #windows: WindowRecord[] = [];
  readonly #explanations: Explanation[] = [];
  readonly #slaMs: number;
  /** Kept: it changes between windows only, and asking costs a quantile. */
  #sla: SlaTarget;
  #bounds: Bounds;
  #version: SettingsVersion;
  #changes = 0;
  #nowMs = 0;
  #wakeMs = Infinity;
  #disturbed = 0;
  #isShedding = false;

  constructor(options: HarnessOptions) {
    const random = createRandom(options.seed ?? 1);
    this.#options = options;
    this.#slaMs = options.slaP99Ms ?? options.policy.sla.p99Ms ?? Infinity;
    this.#tally = new Tally(
      options.stretchStartsS.map((startS) => startS * 1000),
      this.#slaMs,
    );
    this.#engine = new Engine({
      curve: options.curve,
      interference: options.interference ?? DEFAULT_INTERFERENCE,
      random: random.fork('noise'),
    });
    this.#sla = toSlaTarget(options.policy, null);
    this.#bounds = toBounds(options.policy, this.#sla);
    this.#version = { settings: options.start ?? START_SETTINGS, generation: 1, source: 'start' };
    this.#lane = createLane<LabRequest>({
      model: MODEL,
      settings: () => this.#version,
      maxBatchSize: () => Infinity,
      sla: () => this.#sla.p99Ms,
      queueRequests: QUEUE_REQUESTS,
      random: random.fork('retry-after'),
      gate: new EngineGate(Infinity),
    });
    this.#sense = createSense({
      startMs: 0,
      policy: () => options.policy,
      version: () => this.#version,
      load: (_, nowMs) => ({
        queueDepth: this.#lane.queuedRequests,
        oldestWaitMs: nowMs - (this.#lane.oldestArrivedMs ?? nowMs),
        inflight: this.#lane.inflight,
      }),
    });
  }

  play(): HarnessResult {
    const { nextArrivalS } = this.#options;
    const nextArrivalMs = (): number => {
      const atS = nextArrivalS();
      return atS === null ? Infinity : atS * 1000;
    };
    let arrivalMs = nextArrivalMs();
    while (arrivalMs < Infinity || this.#flights.size > 0 || this.#lane.queuedRequests > 0) {
      const disturbance = this.#options.disturbances?.[this.#disturbed];
      const disturbMs = disturbance === undefined ? Infinity : disturbance.atS * 1000;
      const tickMs = this.#sense.nextTickMs();
      this.#nowMs = Math.min(arrivalMs, this.#engine.nextEndMs, this.#wakeMs, tickMs, disturbMs);
      if (this.#engine.nextEndMs <= this.#nowMs) this.#end();
      if (disturbMs <= this.#nowMs && disturbance !== undefined) {
        disturbance.apply(this.#engine, this.#nowMs);
        this.#disturbed++;
      }
      if (tickMs <= this.#nowMs) this.#tick();
      if (arrivalMs <= this.#nowMs) {
        this.#arrive();
        arrivalMs = nextArrivalMs();
      }
      this.#drive();
    }
    this.#tally.passed(this.#nowMs, this.#engine.busyMs);
    return {
      tally: this.#tally,
      windows: this.#windows,
      explanations: this.#explanations,
      changes: this.#changes,
      reflexTrips: this.#reflex.trips,
      durationMs: this.#nowMs,
    };
  }

  #setSla(sla: SlaTarget): void {
    this.#sla = sla;
    this.#bounds = toBounds(this.#options.policy, sla);
  }

  #arrive(): void {
    const nowMs = this.#nowMs;
    const items = this.#options.nextItems?.() ?? 1;
    const request: LabRequest = {
      key: '',
      items,
      isBatchable: true,
      arrivedMs: nowMs,
      deadlineMs: Infinity,
      priority: 1,
      slot: -1,
    };
    this.#tally.arrived(nowMs, this.#engine.busyMs);
    this.#sense.arrived(MODEL, items, 0, nowMs);
    if (this.#lane.arrive(request, nowMs).kind === 'queued') return;
    this.#isShedding = true;
    this.#settle(request, 'shed', 'dropped', nowMs, null);
  }

  #end(): void {
    const ended = this.#engine.end(this.#nowMs);
    if (ended === null) return;
    const { batch } = this.#flights.get(ended.ticket)!;
    this.#flights.delete(ended.ticket);
    const { endedMs } = ended;
    this.#lane.finish(batch, 'success', endedMs);
    const { members, items, reason, startedMs, inflight, inflightAll, generation } = batch;
    for (const request of members) this.#settle(request, 'ok', 'success', endedMs, batch);
    this.#sense.batchCompleted({
      model: MODEL,
      reason,
      ending: 'success',
      startedMs,
      durationMs: endedMs - startedMs,
      requests: members.length,
      items,
      inflight,
      inflightAll,
      generation,
    });
  }

  /** Lets the lane act until it waits. */
  #drive(): void {
    this.#look();
    for (;;) {
      const step = this.#lane.next(this.#nowMs);
      switch (step.kind) {
        case 'dispatch': {
          const ticket = this.#engine.start(step.batch.items, this.#nowMs);
          this.#flights.set(ticket, { batch: step.batch, ticket });
          this.#sense.batchStarted(MODEL, this.#nowMs);
          break;
        }
        case 'expired':
          for (const request of step.requests) this.#settle(request, 'timeout', 'dropped', this.#nowMs, null);
          break;
        case 'wait':
          this.#wakeMs = step.untilMs;
          return;
        case 'idle':
          this.#wakeMs = Infinity;
          return;
        default:
          step satisfies never;
      }
    }
  }

  #settle(
    request: LabRequest,
    outcome: Outcome,
    ending: Ending,
    endedMs: number,
    batch: Batch<LabRequest> | null,
  ): void {
    const { arrivedMs, items } = request;
    if (ending === 'success') this.#tally.answered(arrivedMs, endedMs - arrivedMs);
    else this.#tally.lost(arrivedMs);
    const completion: Completion = {
      model: MODEL,
      protocol: 'v2',
      code: outcome === 'ok' ? 200 : 503,
      outcome,
      ending,
      arrivedMs,
      endedMs,
      queueMs: (batch?.startedMs ?? endedMs) - arrivedMs,
      upstreamMs: batch === null ? null : endedMs - batch.startedMs,
      firstByteMs: endedMs - arrivedMs,
      items,
      requestBytes: 0,
      responseBytes: 0,
      generation: this.#version.generation,
    };
    this.#sense.completed(completion);
  }

  #look(): void {
    const oldestArrivedMs = this.#lane.oldestArrivedMs;
    const isShedding = this.#isShedding;
    this.#isShedding = false;
    if (this.#options.hasReflex === false || (oldestArrivedMs === null && !isShedding)) return;
    const action = this.#reflex.look({
      settings: this.#version.settings,
      bounds: this.#bounds,
      slaP99Ms: this.#sla.p99Ms,
      oldestWaitMs: this.#nowMs - (oldestArrivedMs ?? this.#nowMs),
      isShedding,
    });
    if (action.kind === 'trip') this.#swap(action.settings, 'reflex');
  }

  #tick(): void {
    const snapshot = this.#sense.tick(this.#nowMs);
    if (snapshot !== null) this.#setSla(this.#sense.sla(MODEL));
    const model = snapshot?.models[0];
    if (snapshot === null || model === undefined) return;
    this.#options.onSnapshot?.(snapshot);
    this.#reflex.windowEnded(model);
    this.#guard.observe(model, this.#nowMs, this.#options.policy);
    this.#windows.push({ atMs: this.#nowMs, settings: this.#version.settings, snapshot: model });
    this.#decide(model, snapshot);
  }

  #decide(model: ModelSnapshot, snapshot: Snapshot): void {
    const { decider, policy, hasGuard } = this.#options;
    const decision = decider.decide(model, toDecideContext(model, snapshot, policy));
    let guarded: Explanation['guarded'] = null;
    let result: Explanation['result'] = 'held';
    if (decision.kind === 'propose') {
      guarded =
        hasGuard === false
          ? { kind: 'pass', proposal: decision.proposal }
          : this.#guard.check(decision.proposal, model, snapshot, policy);
      result = guarded.kind === 'veto' ? 'vetoed' : 'applied';
      if (guarded.kind !== 'veto' && this.#swap(guarded.proposal.settings, 'decider')) {
        this.#changes++;
        this.#guard.applied(MODEL, this.#version.settings, this.#nowMs);
      }
    }
    const at = new Date(this.#nowMs).toISOString();
    this.#explanations.push({ at, model: MODEL, decision, guarded, result });
  }

  #swap(settings: Settings, source: SettingsSource): boolean {
    const bounded = clampSettings(settings, this.#bounds);
    if (isSameSettings(bounded, this.#version.settings)) return false;
    this.#version = { settings: bounded, generation: this.#version.generation + 1, source };
    return true;
  }
}
