// THE batching rule, as pure functions over numbers: the proxy's batcher, the lab and the planner's replay all ask here.
import type { DepartureReason } from './completion.ts';

/** The settings of the rule, for one model. */
export interface BatchingRule {
  /** Most items in one call: `toBatchLimit`. */
  readonly limitItems: number;
  /** How long the oldest may wait for company, ms; 0 = natural batching. */
  readonly delayMs: number;
  /** The agent is stopping: nothing waits for company any more. */
  readonly isDraining: boolean;
}

/** What waits of one key, oldest first: `sizes[from]` up to, not including, `sizes[to]`. A window, so that a replay need not copy. */
export interface WaitingKey {
  /** Items of each request, >= 1. */
  readonly sizes: ArrayLike<number>;
  readonly from: number;
  readonly to: number;
  /** When the oldest joined the queue, ms. */
  readonly oldestMs: number;
  readonly isBatchable: boolean;
}

export type Departure =
  /** The first `count` requests leave now, `items` in all. */
  | { readonly kind: 'leave'; readonly count: number; readonly items: number; readonly reason: DepartureReason }
  /** Not before this time; Infinity: not before a place is free or something arrives. */
  | { readonly kind: 'wait'; readonly untilMs: number };

/**
 * The whole rule for one key. A batch leaves when a place is free and it
 * - cannot get better company: `single` (not batchable, or alone larger than the limit) or `full` (the limit is
 *   reached, or the next request would not fit: both mean that what waits sums to at least the limit);
 * - or need not wait for company: `drain`, `natural` (delay 0) or `timeout` (the oldest waited the delay). A delay
 *   holds on an idle engine too: that is the price of cost-first.
 */
export function toDeparture(key: WaitingKey, rule: BatchingRule, freePlaces: number, nowMs: number): Departure {
  if (key.from >= key.to || freePlaces < 1) return { kind: 'wait', untilMs: Infinity };
  const headItems = key.sizes[key.from] ?? 1;
  let waitingItems = 0;
  for (let at = key.from; at < key.to && waitingItems < rule.limitItems; at++) waitingItems += key.sizes[at] ?? 1;
  const isFull = isAtOnce(key.isBatchable, waitingItems, rule.limitItems);
  const dueMs = isFull ? -Infinity : toDueMs(key.oldestMs, rule.delayMs, rule.isDraining);
  if (dueMs > nowMs) return { kind: 'wait', untilMs: dueMs };
  let count = 0;
  let items = 0;
  while (
    key.from + count < key.to &&
    isFitting(count, items, key.sizes[key.from + count] ?? 1, key.isBatchable, rule.limitItems)
  ) {
    items += key.sizes[key.from + count] ?? 1;
    count++;
  }
  return { kind: 'leave', count, items, reason: toReason(key.isBatchable, headItems, waitingItems, rule) };
}

/** Most items in one call: the setting, but never more than the engine takes (Infinity: unknown), and at least 1. */
export function toBatchLimit(batchSize: number, engineMaxItems: number): number {
  return Math.max(1, Math.min(batchSize, engineMaxItems));
}

/** True when waiting cannot improve the batch. `waitingItems` may be cut off once it has reached the limit. */
export function isAtOnce(isBatchable: boolean, waitingItems: number, limitItems: number): boolean {
  return !isBatchable || waitingItems >= limitItems;
}

/** When a batch that may still grow leaves, ms; -Infinity: as soon as a place is free. */
export function toDueMs(oldestMs: number, delayMs: number, isDraining: boolean): number {
  return isDraining || !(delayMs > 0) ? -Infinity : oldestMs + delayMs;
}

/** May the next request join `count` requests that hold `items`? The first always may: larger than the limit, it goes alone. */
export function isFitting(
  count: number,
  items: number,
  nextItems: number,
  isBatchable: boolean,
  limitItems: number,
): boolean {
  return count === 0 || (isBatchable && items + nextItems <= limitItems);
}

/** Why the batch at the head of a key leaves, given that it does. */
export function toReason(
  isBatchable: boolean,
  headItems: number,
  waitingItems: number,
  rule: BatchingRule,
): DepartureReason {
  if (!isBatchable || headItems > rule.limitItems) return 'single';
  if (waitingItems >= rule.limitItems) return 'full';
  if (rule.isDraining) return 'drain';
  return rule.delayMs > 0 ? 'timeout' : 'natural';
}
