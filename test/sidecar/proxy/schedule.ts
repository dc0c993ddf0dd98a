// Random schedules in virtual time, and a checker that keeps its own naive books of what a lane may do.
import { type BatchingRule, toBatchLimit, toDeparture } from '../../../src/core/batching.ts';
import type { Ending } from '../../../src/core/completion.ts';
import { createRandom, type Random } from '../../../src/core/random.ts';
import type { SettingsVersion } from '../../../src/core/settings.ts';
import { createLane } from '../../../sidecar/proxy/lane.ts';
import { EngineGate } from '../../../sidecar/proxy/limit.ts';
import { ShareLimit } from '../../../sidecar/proxy/share-limit.ts';
import type { Batch, Lane, Verdict, Waiting } from '../../../sidecar/proxy/waiting.ts';

export type Wrap = (lane: Lane<Job>) => Lane<Job>;

type State = 'new' | 'waiting' | 'sent' | 'finished' | 'expired' | 'shed' | 'cancelled';

export class Job implements Waiting {
  readonly id: number;
  readonly key: string;
  readonly items: number;
  readonly isBatchable: boolean;
  readonly arrivedMs: number;
  readonly deadlineMs: number;
  readonly priority: number;
  slot = -1;
  state: State = 'new';
  queuedMs = 0;
  /** Sent again after its batch was split. */
  isAgain = false;

  constructor(
    id: number,
    key: string,
    items: number,
    isBatchable: boolean,
    arrivedMs: number,
    deadlineMs: number,
    priority: number,
  ) {
    this.id = id;
    this.key = key;
    this.items = items;
    this.isBatchable = isBatchable;
    this.arrivedMs = arrivedMs;
    this.deadlineMs = deadlineMs;
    this.priority = priority;
  }
}

/** What the schedule exercised, so that a test can assert that it was not empty talk. */
export interface Tally {
  schedules: number;
  requests: number;
  batches: number;
  joined: number;
  expired: number;
  shed: number;
  cancelled: number;
  resent: number;
  bypassed: number;
  reasons: Record<string, number>;
}

export function createTally(): Tally {
  return {
    schedules: 0,
    requests: 0,
    batches: 0,
    joined: 0,
    expired: 0,
    shed: 0,
    cancelled: 0,
    resent: 0,
    bypassed: 0,
    reasons: {},
  };
}

export class Violation extends Error {}

interface Group {
  readonly members: Job[];
  readonly isBatchable: boolean;
  readonly priority: number;
  /** Position of the head in the line; what is sent again stands before everything. */
  readonly headOrder: number;
}

/** One lane under test with the naive books beside it. */
interface Desk {
  readonly lane: Lane<Job>;
  readonly waiting: Job[];
  version: SettingsVersion;
  maxBatchSize: number;
  slaMs: number | null;
  isBypassed: boolean;
  isDraining: boolean;
  isClosed: boolean;
  inflight: number;
  wakeMs: number;
  readonly queueRequests: number;
  /** Null: no coordinator. */
  readonly share: ShareLimit | null;
}

interface Call {
  readonly desk: Desk;
  readonly batch: Batch<Job>;
  readonly endMs: number;
}

const STEPS_MAX = 200;

/** Runs the schedule of one seed to its end; throws `Violation` at the first broken law. */
export function runSchedule(seed: number, tally: Tally, wrap: Wrap = (lane) => lane): void {
  new Schedule(seed, tally, wrap).run();
}

class Schedule {
  readonly #seed: number;
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #gate: EngineGate<Lane<Job>>;
  readonly #desks: Desk[] = [];
  readonly #deskOf = new Map<Lane<Job>, Desk>();
  readonly #calls: Call[] = [];
  readonly #jobs: Job[] = [];
  readonly #hasDeadlines: boolean;
  readonly #isHectic: boolean;
  readonly #gapMs: number;
  readonly #serviceMs: number;
  readonly #keys: number;
  #nowMs = 0;

  constructor(seed: number, tally: Tally, wrap: Wrap) {
    this.#seed = seed;
    this.#tally = tally;
    const random = createRandom(seed);
    this.#random = random;
    this.#gate = new EngineGate(1 + random.int(4));
    this.#hasDeadlines = random.next() < 0.5;
    this.#isHectic = random.next() < 0.5;
    this.#gapMs = [0.5, 2, 10][random.int(3)]!;
    this.#serviceMs = [2, 10, 30][random.int(3)]!;
    this.#keys = 1 + random.int(3);
    const lanes = 1 + random.int(3);
    for (let index = 0; index < lanes; index++) {
      let desk: Desk | null = null;
      const share = random.next() < 0.15 ? new ShareLimit() : null;
      const inner = createLane<Job>({
        model: `m${index}`,
        settings: () => desk!.version,
        maxBatchSize: () => desk!.maxBatchSize,
        sla: () => desk!.slaMs,
        gate: this.#gate,
        queueRequests: 12,
        random,
        bypass: () => desk!.isBypassed,
        ...(share === null ? {} : { share }),
      });
      desk = {
        lane: wrap(inner),
        waiting: [],
        version: this.#drawVersion(1),
        maxBatchSize: random.next() < 0.8 ? Infinity : 1 + random.int(6),
        slaMs: random.next() < 0.5 ? null : 5 + random.int(100),
        isBypassed: false,
        isDraining: false,
        isClosed: false,
        inflight: 0,
        wakeMs: Infinity,
        queueRequests: 12,
        share,
      };
      this.#grant(desk);
      this.#desks.push(desk);
      this.#deskOf.set(inner, desk);
    }
  }

  run(): void {
    const random = this.#random;
    let arrivals = 4 + random.int(20);
    let nextMs = 0;
    this.#tally.schedules++;
    for (let guard = 0; ; guard++) {
      if (guard > 5000) this.#fail('the schedule does not end');
      const callIndex = this.#earliestCall();
      const endMs = callIndex === -1 ? Infinity : this.#calls[callIndex]!.endMs;
      const wakeMs = this.#desks.reduce((least, desk) => Math.min(least, desk.wakeMs), Infinity);
      const arriveMs = arrivals > 0 ? nextMs : Infinity;
      const nowMs = Math.min(arriveMs, endMs, wakeMs);
      if (nowMs === Infinity) break;
      if (nowMs < this.#nowMs) this.#fail(`woken in the past: ${nowMs} < ${this.#nowMs}`);
      this.#nowMs = nowMs;
      if (nowMs === endMs) this.#end(callIndex);
      else if (nowMs === arriveMs) {
        arrivals--;
        // Bursts at one instant as well as gaps.
        nextMs += random.next() < 0.4 ? 0 : random.exponential(this.#gapMs);
        this.#arrive(this.#desks[random.int(this.#desks.length)]!);
      } else for (const desk of this.#desks) if (desk.wakeMs <= nowMs) this.#poll(desk);
      if (this.#isHectic && random.next() < 0.3) this.#disturb();
      // At the end everything is flushed, so that a schedule never waits for a delay that nobody is interested in.
      if (arrivals === 0 && random.next() < 0.2) this.#drain(this.#desks[random.int(this.#desks.length)]!);
      this.#checkBooks();
    }
    for (const job of this.#jobs)
      if (job.state === 'waiting' || job.state === 'sent' || job.state === 'new')
        this.#fail(`request ${job.id} is lost: ${job.state}`);
    for (const desk of this.#desks)
      if (desk.lane.inflight !== 0 || desk.lane.oldestArrivedMs !== null) this.#fail('a lane is not empty at the end');
    if (this.#gate.inflight !== 0) this.#fail('a place at the gate was not given back');
  }

  #drawVersion(generation: number): SettingsVersion {
    const random = this.#random;
    return {
      settings: {
        batchSize: 1 + random.int(8),
        batchDelayMs: random.next() < 0.5 ? 0 : random.int(12),
        concurrency: 1 + random.int(3),
        switches: {},
      },
      generation,
      source: 'user',
    };
  }

  #grant(desk: Desk): void {
    const random = this.#random;
    const share = {
      model: 'm',
      gpuUuid: 'GPU-0',
      gpuMsPerS: 50 + random.int(1000),
      concurrencyMax: random.int(4),
      memoryBytes: 0,
      expiresInMs: random.int(200),
    };
    desk.share?.grant(share, this.#nowMs);
  }

  #arrive(desk: Desk): void {
    const random = this.#random;
    const deadlineMs = this.#hasDeadlines && random.next() < 0.6 ? this.#nowMs + random.int(30) - 1 : Infinity;
    const items = random.next() < 0.7 ? 1 : 1 + random.int(9);
    const job = new Job(
      this.#jobs.length,
      `k${random.int(this.#keys)}`,
      items,
      random.next() < 0.95,
      this.#nowMs,
      deadlineMs,
      random.next() < 0.6 ? 1 : random.int(4),
    );
    this.#jobs.push(job);
    this.#tally.requests++;
    const mayLeave = this.#hasPlace(desk) && this.#gate.hasFreePlace && desk.share === null;
    const verdict = desk.lane.arrive(job, this.#nowMs);
    this.#checkVerdict(desk, job, verdict, mayLeave);
    if (verdict.kind === 'shed') {
      job.state = 'shed';
      this.#tally.shed++;
    } else {
      job.state = 'waiting';
      job.queuedMs = this.#nowMs;
      desk.waiting.push(job);
    }
    this.#poll(desk);
  }

  #checkVerdict(desk: Desk, job: Job, verdict: Verdict, mayLeave: boolean): void {
    const isExpired = job.deadlineMs <= this.#nowMs;
    const isFull = desk.waiting.length >= desk.queueRequests;
    const must = desk.isClosed ? 'draining' : desk.isBypassed ? null : isExpired ? 'expired' : isFull ? 'full' : null;
    if (verdict.kind === 'queued') {
      if (must !== null) this.#fail(`taken, though ${must}`);
      return;
    }
    if (must !== null ? verdict.reason !== must : verdict.reason !== 'late')
      this.#fail(`shed as ${verdict.reason}, expected ${must ?? 'late'}`);
    if (must === null && (mayLeave || desk.isBypassed)) this.#fail('shed as late though a place was free');
    const seconds = verdict.retryAfterMs / 1000;
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > 31) this.#fail(`Retry-After of ${seconds} s`);
  }

  /** Polls a lane until it rests, then every lane the gate names: what a driver owes. */
  #poll(desk: Desk): void {
    this.#pump(desk);
    for (let turns = 0; ; turns++) {
      const lane = this.#gate.pick();
      if (lane === null) break;
      if (turns > STEPS_MAX) this.#fail('the gate names lanes for ever');
      this.#pump(this.#deskOf.get(lane)!);
    }
  }

  #pump(desk: Desk): void {
    for (let steps = 0; ; steps++) {
      if (steps > STEPS_MAX) this.#fail('next() never rests');
      const step = desk.lane.next(this.#nowMs);
      if (step.kind === 'dispatch') this.#dispatched(desk, step.batch);
      else if (step.kind === 'expired') this.#expired(desk, step.requests);
      else {
        if (step.kind === 'wait' && !(step.untilMs > this.#nowMs))
          this.#fail(`wait until ${step.untilMs}, which is not later than ${this.#nowMs}`);
        desk.wakeMs = step.kind === 'wait' ? step.untilMs : Infinity;
        return;
      }
    }
  }

  #expired(desk: Desk, requests: readonly Job[]): void {
    if (requests.length === 0) this.#fail('expired nothing');
    for (const job of requests) {
      this.#takeOut(desk, job, 'expired');
      if (job.deadlineMs > this.#nowMs) this.#fail('expired before its deadline');
      this.#tally.expired++;
    }
  }

  #dispatched(desk: Desk, batch: Batch<Job>): void {
    const { settings, generation } = desk.version;
    const { members } = batch;
    const first = members[0];
    if (first === undefined) this.#fail('an empty batch');
    const groups = groupsOf(desk.waiting);
    for (const job of members) {
      if (job.state !== 'waiting' || !desk.waiting.includes(job))
        this.#fail(`request ${job.id} dispatched while ${job.state}`);
      if (job.deadlineMs <= this.#nowMs) this.#fail('expired work was batched');
    }
    const group = groups.find((candidate) => candidate.members.includes(first))!;
    for (let at = 0; at < members.length; at++)
      if (group.members[at] !== members[at]) this.#fail('not first in, first out, or unequal keys');
    if (batch.items !== members.reduce((sum, job) => sum + job.items, 0)) this.#fail('items do not add up');
    if (batch.startedMs !== this.#nowMs || batch.generation !== generation) this.#fail('wrong time or generation');
    if (batch.inflight !== desk.inflight + 1 || batch.inflightAll !== this.#calls.length + 1)
      this.#fail('wrong inflight');

    if (desk.isBypassed) {
      if (members.length !== 1 || batch.reason !== 'single') this.#fail('joined in bypass');
      this.#tally.bypassed++;
    } else {
      const rule = this.#ruleOf(desk);
      if (members.length > 1 && batch.items > rule.limitItems) this.#fail('over the batch limit');
      if (!this.#hasPlace(desk) || this.#calls.length >= this.#gate.concurrency)
        this.#fail('over a limit of calls in flight');
      const departure = toDeparture(toKey(group), rule, 1, this.#nowMs);
      if (departure.kind === 'leave') {
        if (departure.count !== members.length || departure.reason !== batch.reason)
          this.#fail(
            `left ${members.length} as ${batch.reason}, the rule says ${departure.count} as ${departure.reason}`,
          );
      } else if (
        batch.reason !== 'timeout' ||
        members.length !== group.members.length ||
        !members.some((job) => job.deadlineMs < Infinity)
      )
        this.#fail('left early, and not for a deadline');
      for (const other of groups) {
        if (other === group || toDeparture(toKey(other), rule, 1, this.#nowMs).kind !== 'leave') continue;
        if (other.priority > group.priority) this.#fail('a more urgent batch was ready');
        if (other.priority === group.priority && other.headOrder < group.headOrder)
          this.#fail('an older head was ready');
      }
      if (settings.batchSize < 1) this.#fail('bad settings');
    }
    for (const job of members) this.#takeOut(desk, job, 'sent');
    desk.inflight++;
    this.#calls.push({
      desk,
      batch,
      endMs: this.#nowMs + (this.#random.next() < 0.1 ? 0 : this.#random.exponential(this.#serviceMs)),
    });
    this.#tally.batches++;
    if (members.length > 1) this.#tally.joined++;
    this.#tally.reasons[batch.reason] = (this.#tally.reasons[batch.reason] ?? 0) + 1;
  }

  #takeOut(desk: Desk, job: Job, state: State): void {
    const at = desk.waiting.indexOf(job);
    if (at === -1 || job.state !== 'waiting') this.#fail(`request ${job.id} became ${state} while ${job.state}`);
    desk.waiting.splice(at, 1);
    job.state = state;
  }

  #end(index: number): void {
    const { desk, batch } = this.#calls.splice(index, 1)[0]!;
    const draw = this.#random.next();
    const ending: Ending = draw < 0.8 ? 'success' : draw < 0.9 ? 'ignored' : 'dropped';
    desk.inflight--;
    desk.lane.finish(batch, ending, this.#nowMs);
    const isSplit = ending === 'ignored' && batch.members.length > 1;
    for (const job of batch.members) {
      if (job.state !== 'sent') this.#fail(`request ${job.id} finished while ${job.state}`);
      job.state = isSplit ? 'waiting' : 'finished';
      if (!isSplit) continue;
      desk.lane.resend(job, this.#nowMs);
      job.isAgain = true;
      job.queuedMs = this.#nowMs;
      desk.waiting.push(job);
      this.#tally.resent++;
    }
    this.#poll(desk);
  }

  /** What an operator, a client or a fault does at any moment. */
  #disturb(): void {
    const random = this.#random;
    const desk = this.#desks[random.int(this.#desks.length)]!;
    const draw = random.next();
    if (draw < 0.4) {
      const job = this.#jobs[random.int(this.#jobs.length)];
      if (job !== undefined) this.#cancel(desk, job);
    } else if (draw < 0.65) desk.version = this.#drawVersion(desk.version.generation + 1);
    else if (draw < 0.7) desk.maxBatchSize = 1 + random.int(6);
    else if (draw < 0.73) this.#grant(desk);
    else if (draw < 0.8) this.#gate.concurrency = 1 + random.int(4);
    else if (draw < 0.9) desk.isBypassed = !desk.isBypassed;
    else if (draw < 0.95) this.#drain(desk);
    else {
      desk.isClosed = true;
      desk.lane.close();
    }
    this.#poll(desk);
  }

  #cancel(desk: Desk, job: Job): void {
    const isWaiting = job.state === 'waiting' && desk.waiting.includes(job);
    if (desk.lane.cancel(job) !== isWaiting) this.#fail('cancel says otherwise than the books');
    if (!isWaiting) return;
    this.#takeOut(desk, job, 'cancelled');
    this.#tally.cancelled++;
  }

  #drain(desk: Desk): void {
    desk.isDraining = true;
    desk.lane.drain();
    this.#poll(desk);
  }

  #checkBooks(): void {
    for (const desk of this.#desks) {
      const { lane, waiting } = desk;
      if (lane.queuedRequests !== waiting.length)
        this.#fail(`queue of ${lane.queuedRequests}, the books say ${waiting.length}`);
      if (lane.queuedItems !== waiting.reduce((sum, job) => sum + job.items, 0))
        this.#fail('queued items do not add up');
      if (lane.inflight !== desk.inflight) this.#fail('inflight differs from the books');
      if (waiting.length === 0) continue;
      const deadlineMs = waiting.reduce((least, job) => Math.min(least, job.deadlineMs), Infinity);
      if (desk.wakeMs > deadlineMs) this.#fail('sleeps past a deadline');
      // What a share holds back, and until when, is its own test; here it may only not lose or exceed anything.
      if (desk.share !== null && !desk.isBypassed) continue;
      const isStopped = !desk.isBypassed && (!this.#hasPlace(desk) || this.#calls.length >= this.#gate.concurrency);
      if (isStopped) continue;
      const rule = this.#ruleOf(desk);
      for (const group of groupsOf(waiting)) {
        const departure = toDeparture(toKey(group), rule, 1, this.#nowMs);
        if (desk.isBypassed || departure.kind === 'leave')
          this.#fail('a place is free and a batch that may leave waits');
        if (departure.kind === 'wait' && desk.wakeMs > departure.untilMs) this.#fail('sleeps past a delay');
      }
    }
  }

  #hasPlace(desk: Desk): boolean {
    return (
      desk.inflight < Math.min(desk.version.settings.concurrency, desk.share?.concurrencyMaxAt(this.#nowMs) ?? Infinity)
    );
  }

  #ruleOf(desk: Desk): BatchingRule {
    const { batchSize, batchDelayMs } = desk.version.settings;
    return {
      limitItems: toBatchLimit(batchSize, desk.maxBatchSize),
      delayMs: batchDelayMs,
      isDraining: desk.isDraining,
    };
  }

  #earliestCall(): number {
    let earliest = -1;
    for (let at = 0; at < this.#calls.length; at++)
      if (earliest === -1 || this.#calls[at]!.endMs < this.#calls[earliest]!.endMs) earliest = at;
    return earliest;
  }

  #fail(what: string): never {
    throw new Violation(`seed ${this.#seed} at ${this.#nowMs.toFixed(3)} ms: ${what}`);
  }
}

/** The queues as they ought to be: by priority, and by key where requests may be joined. */
function groupsOf(waiting: readonly Job[]): Group[] {
  const groups = new Map<string, { members: Job[]; isBatchable: boolean; priority: number; headOrder: number }>();
  waiting.forEach((job, order) => {
    const isBatchable = job.isBatchable && !job.isAgain;
    const name = `${job.priority}${job.isAgain ? '!' : isBatchable ? job.key : '-'}`;
    const group = groups.get(name);
    if (group === undefined)
      groups.set(name, {
        members: [job],
        isBatchable,
        priority: job.priority,
        headOrder: job.isAgain ? order - 1e6 : order,
      });
    else group.members.push(job);
  });
  return [...groups.values()];
}

function toKey(group: Group): { sizes: number[]; from: number; to: number; oldestMs: number; isBatchable: boolean } {
  return {
    sizes: group.members.map((job) => job.items),
    from: 0,
    to: group.members.length,
    oldestMs: group.members[0]!.queuedMs,
    isBatchable: group.isBatchable,
  };
}
