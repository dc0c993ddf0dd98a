// The queues of one model and the batches that leave them. The rule is core's; here is the order among keys.
import { type BatchingRule, isAtOnce, isFitting, toDueMs, toReason } from '../../src/core/batching.ts';
import type { DepartureReason } from '../../src/core/completion.ts';
import { Heap } from './heap.ts';
import { KeyQueue, Place } from './key-queue.ts';
import type { Waiting } from './waiting.ts';

/** What left: members in the order in which they were queued. */
export interface Taken<R extends Waiting> {
  readonly members: R[];
  readonly items: number;
  readonly reason: DepartureReason;
}

const PRIORITIES = 4;
/** Subtracted from the order of a request that is sent again: it is ahead of everything queued for the first time. */
const AGAIN_HEAD_START = 2 ** 52;

/**
 * One queue a key and priority; unbatchable requests share one queue a priority, as no key of theirs matters.
 *
 * Order: what may leave goes strictly by priority, 3 first; at equal priority the queue with the oldest head goes
 * first; inside a queue first in, first out. A delay never costs a deadline: a queue whose member would miss its own by
 * waiting on is ready early. So a priority waits as long as a more urgent one fills every place (that
 * is what priority means), while at equal priority no key waits behind a request younger than its own head.
 *
 * Each priority keeps two heaps of queues: `ready` cannot get better company, `growing` may. All queues of a lane have
 * the same delay, so the oldest head is also the first due, and one look at each top decides. Cost: O(1) a request
 * without a deadline, O(log deadlines) with one, O(log keys) a batch; O(keys) when the batch limit changes.
 */
export class Batcher<R extends Waiting> {
  readonly #ready: Heap<KeyQueue<R>>[] = [];
  readonly #growing: Heap<KeyQueue<R>>[] = [];
  readonly #queues: Map<string, KeyQueue<R>>[] = [];
  readonly #alone: KeyQueue<R>[] = [];
  readonly #again: KeyQueue<R>[] = [];
  readonly #deadlines = new Heap<Place<R>>();
  readonly #places: Place<R>[] = [];
  readonly #itemsByPriority: number[] = [];
  #free: Place<R> | null = null;
  /** The queue asked for last: with one key no map is touched. */
  #last: KeyQueue<R> | null = null;
  /** The queue that ran empty last stays, so that light traffic of one key does not make and drop it each time. */
  #spare: KeyQueue<R> | null = null;
  #order = 0;
  #requests = 0;
  #items = 0;
  #limitItems = Infinity;

  constructor() {
    for (let priority = 0; priority < PRIORITIES; priority++) {
      this.#ready.push(new Heap());
      this.#growing.push(new Heap());
      this.#queues.push(new Map());
      this.#alone.push(new KeyQueue('', priority, false));
      this.#again.push(new KeyQueue('', priority, false));
      this.#itemsByPriority.push(0);
    }
  }

  get requests(): number {
    return this.#requests;
  }

  get items(): number {
    return this.#items;
  }

  /** Key queues held, the spare one included: at most one more than there are keys that wait. */
  get keys(): number {
    return this.#queues.reduce((sum, queues) => sum + queues.size, 0);
  }

  /** Items that leave before a newcomer of this priority. */
  itemsAhead(priority: number): number {
    let items = 0;
    for (let at = toPriority(priority); at < PRIORITIES; at++) items += this.#itemsByPriority[at]!;
    return items;
  }

  /** The queue that a newcomer would join; null when none of its key waits. */
  queueOf(request: R): KeyQueue<R> | null {
    const priority = toPriority(request.priority);
    const { key } = request;
    const last = this.#last;
    const isLast = last !== null && last.priority === priority && last.key === key;
    const own = request.isBatchable ? (isLast ? last : this.#queues[priority]!.get(key)) : this.#alone[priority];
    return own === undefined || own.head === null ? null : own;
  }

  /**
   * Batches of other keys that leave before a newcomer's, given `queueOf` it. Its queue stands among its equals as its
   * head's age among their ages (taken as even: exact would cost a walk), and comes round again for every full batch.
   */
  keysAhead(request: R, own: KeyQueue<R> | null, limitItems: number): number {
    const priority = toPriority(request.priority);
    let more = 0;
    for (let at = priority + 1; at < PRIORITIES; at++) more += this.#ready[at]!.size + this.#growing[at]!.size;
    const ready = this.#ready[priority]!;
    const growing = this.#growing[priority]!;
    const equals = ready.size + growing.size;
    if (own === null) return more + equals;
    const oldest = Math.min(ready.top?.rank ?? Infinity, growing.top?.rank ?? Infinity);
    const position = (own.rank - oldest) / (this.#order + 1 - oldest);
    return more + equals * position + (equals - 1) * Math.floor(own.items / limitItems);
  }

  /** The earliest deadline of all that waits; Infinity when there is none. */
  get nextDeadlineMs(): number {
    return this.#deadlines.top?.rank ?? Infinity;
  }

  /** Arrival of the request queued longest; null when none waits. */
  get oldestArrivedMs(): number | null {
    let oldestMs = Infinity;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      if (this.#itemsByPriority[priority] === 0) continue;
      const ready = this.#ready[priority]!.top?.head?.request?.arrivedMs ?? Infinity;
      const growing = this.#growing[priority]!.top?.head?.request?.arrivedMs ?? Infinity;
      oldestMs = Math.min(oldestMs, ready, growing);
    }
    return oldestMs === Infinity ? null : oldestMs;
  }

  /** The delay counts from `nowMs`, not from the arrival: company cannot come while a body is still being read. */
  add(request: R, nowMs: number): void {
    const priority = toPriority(request.priority);
    const queue = request.isBatchable ? this.#queueOf(request.key, priority) : this.#alone[priority]!;
    this.#append(queue, request, ++this.#order, nowMs);
  }

  /** To go once more, alone, ahead of its priority. */
  addAgain(request: R, nowMs: number): void {
    this.#append(this.#again[toPriority(request.priority)]!, request, ++this.#order - AGAIN_HEAD_START, nowMs);
  }

  /** False when it does not wait here (any more). */
  remove(request: R): boolean {
    const place = this.#places[request.slot ?? -1];
    const queue = place?.queue;
    if (place === undefined || queue === null || queue === undefined || place.request !== request) return false;
    this.#release(queue, place);
    // Perhaps it was the one in a hurry; `ready` finds the next.
    queue.isUrgent = false;
    this.#settle(queue);
    return true;
  }

  /** Takes out what nobody waits for any more, earliest deadline first. */
  expire(nowMs: number): R[] {
    const expired: R[] = [];
    for (let place = this.#deadlines.top; place !== null && place.rank <= nowMs; place = this.#deadlines.top) {
      expired.push(place.request!);
      this.remove(place.request!);
    }
    return expired;
  }

  /**
   * The queue whose batch leaves next if a place is free; null when none may leave yet. `leadMs`: how long before the
   * earliest deadline a batch that waits for company must leave to meet it.
   */
  ready(rule: BatchingRule, leadMs: number, nowMs: number): KeyQueue<R> | null {
    if (rule.limitItems !== this.#limitItems) this.#setLimit(rule.limitItems);
    const hurried = this.#deadlines.top;
    if (hurried !== null && hurried.rank - leadMs <= nowMs && !hurried.queue!.isUrgent) {
      hurried.queue!.isUrgent = true;
      this.#settle(hurried.queue!);
    }
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      if (this.#itemsByPriority[priority] === 0) continue;
      const ready = this.#ready[priority]!.top;
      const growing = this.#growing[priority]!.top;
      const isDue = growing !== null && toDueMs(growing.head!.queuedMs, rule.delayMs, rule.isDraining) <= nowMs;
      if (isDue && (ready === null || growing.rank < ready.rank)) return growing;
      if (ready !== null) return ready;
    }
    return null;
  }

  /** When something will be ready that is not now; Infinity when nothing waits. Ask when `ready` gave null. */
  dueMs(rule: BatchingRule, leadMs: number): number {
    const deadlineMs = this.nextDeadlineMs;
    let dueMs = deadlineMs === Infinity ? Infinity : deadlineMs - leadMs;
    for (const heap of this.#growing) {
      const head = heap.top?.head;
      if (head) dueMs = Math.min(dueMs, toDueMs(head.queuedMs, rule.delayMs, rule.isDraining));
    }
    return dueMs;
  }

  /** Takes the batch at the head of a queue that `ready` gave, under the same rule. */
  take(queue: KeyQueue<R>, rule: BatchingRule): Taken<R> {
    const { limitItems } = rule;
    const reason = toReason(queue.isBatchable, queue.head!.items, queue.items, rule);
    const members: R[] = [];
    let items = 0;
    for (let place = queue.head; place !== null; place = queue.head) {
      const nextItems = place.items;
      if (!isFitting(members.length, items, nextItems, queue.isBatchable, limitItems)) break;
      items += nextItems;
      members.push(place.request!);
      this.#release(queue, place);
    }
    queue.isUrgent = false;
    this.#settle(queue);
    return { members, items, reason };
  }

  #queueOf(key: string, priority: number): KeyQueue<R> {
    const last = this.#last;
    if (last !== null && last.priority === priority && last.key === key) return last;
    const queues = this.#queues[priority]!;
    let queue = queues.get(key);
    if (queue === undefined) {
      queue = new KeyQueue(key, priority, true);
      queues.set(key, queue);
    }
    this.#last = queue;
    return queue;
  }

  #append(queue: KeyQueue<R>, request: R, order: number, nowMs: number): void {
    let place = this.#free;
    if (place === null) {
      place = new Place<R>(this.#places.length);
      this.#places.push(place);
    } else {
      this.#free = place.next;
      place.next = null;
    }
    place.request = request;
    place.order = order;
    place.queuedMs = nowMs;
    // A queue that sums to nothing would never leave.
    place.items = request.items >= 1 ? request.items : 1;
    place.rank = request.deadlineMs;
    const waiting: Waiting = request;
    waiting.slot = place.slot;
    if (place.rank < Infinity) this.#deadlines.push(place);
    queue.append(place);
    this.#requests++;
    this.#items += place.items;
    this.#itemsByPriority[queue.priority]! += place.items;
    this.#settle(queue);
  }

  #release(queue: KeyQueue<R>, place: Place<R>): void {
    queue.unlink(place);
    if (place.heapIndex !== -1) this.#deadlines.remove(place);
    this.#requests--;
    this.#items -= place.items;
    this.#itemsByPriority[queue.priority]! -= place.items;
    const request: Waiting = place.request!;
    request.slot = -1;
    place.request = null;
    place.next = this.#free;
    this.#free = place;
  }

  /** Puts a queue that changed where it belongs: into the right heap, at the rank of its head, or away. */
  #settle(queue: KeyQueue<R>): void {
    const { head } = queue;
    if (head === null) {
      queue.home?.remove(queue);
      queue.home = null;
      queue.isUrgent = false;
      if (queue.isBatchable) this.#retire(queue);
      return;
    }
    const isReady = queue.isUrgent || isAtOnce(queue.isBatchable, queue.items, this.#limitItems);
    const home = (isReady ? this.#ready : this.#growing)[queue.priority]!;
    if (queue.home === home) {
      if (queue.rank !== head.order) home.rerank(queue, head.order);
      return;
    }
    queue.home?.remove(queue);
    queue.home = home;
    queue.rank = head.order;
    home.push(queue);
  }

  /** Empty queues vanish, but for the one that ran empty last. */
  #retire(queue: KeyQueue<R>): void {
    const spare = this.#spare;
    this.#spare = queue;
    if (spare === null || spare === queue || spare.head !== null) return;
    this.#queues[spare.priority]!.delete(spare.key);
    if (this.#last === spare) this.#last = null;
  }

  #setLimit(limitItems: number): void {
    this.#limitItems = limitItems;
    for (const queues of this.#queues)
      for (const queue of queues.values()) if (queue.head !== null) this.#settle(queue);
  }
}

/** A priority outside 0..3, or no number at all, is brought inside: it may come from a caller. */
function toPriority(priority: number): number {
  return priority >= PRIORITIES ? PRIORITIES - 1 : priority >= 0 ? Math.trunc(priority) : 0;
}
