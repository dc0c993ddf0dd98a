// The requests of one key and priority, first in first out, as a doubly linked list: any of them can leave in O(1).
import type { Heap, Ranked } from './heap.ts';
import type { Waiting } from './waiting.ts';

/** One waiting request's place. Places are used again, so that waiting allocates nothing. Its rank is the deadline. */
export class Place<R extends Waiting> implements Ranked {
  /** Null while the place is free. */
  request: R | null = null;
  queue: KeyQueue<R> | null = null;
  previous: Place<R> | null = null;
  next: Place<R> | null = null;
  /** Rising with every request queued; smaller left the line first. */
  order = 0;
  queuedMs = 0;
  items = 0;
  rank = 0;
  heapIndex = -1;
  readonly slot: number;

  constructor(slot: number) {
    this.slot = slot;
  }
}

/** Ranked by the order of its head, so that a heap of queues has the one with the oldest head on top. */
export class KeyQueue<R extends Waiting> implements Ranked {
  readonly key: string;
  readonly priority: number;
  /** False: each request of it goes alone. */
  readonly isBatchable: boolean;
  head: Place<R> | null = null;
  tail: Place<R> | null = null;
  items = 0;
  /** A member would miss its deadline by waiting for company. */
  isUrgent = false;
  rank = 0;
  heapIndex = -1;
  /** The heap it stands in, null while it is empty. */
  home: Heap<KeyQueue<R>> | null = null;

  constructor(key: string, priority: number, isBatchable: boolean) {
    this.key = key;
    this.priority = priority;
    this.isBatchable = isBatchable;
  }

  append(place: Place<R>): void {
    place.queue = this;
    place.previous = this.tail;
    if (this.tail === null) this.head = place;
    else this.tail.next = place;
    this.tail = place;
    this.items += place.items;
  }

  unlink(place: Place<R>): void {
    if (place.previous === null) this.head = place.next;
    else place.previous.next = place.next;
    if (place.next === null) this.tail = place.previous;
    else place.next.previous = place.previous;
    place.previous = null;
    place.next = null;
    place.queue = null;
    this.items -= place.items;
  }
}
