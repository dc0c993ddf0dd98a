// How many upstream calls may be in flight over all models that share the engine.

/** One lane's account at the gate. Only the gate writes it. */
export class Seat<L> {
  readonly lane: L;
  /** Calls of this lane in flight. */
  inflight = 0;
  isInLine = false;

  constructor(lane: L) {
    this.lane = lane;
  }
}

/**
 * The engine-wide cap. A lane that has a batch ready and finds no place stands in line; places that free go to the
 * line in turn, one batch a turn: with n lanes in line each gets a place after at most n - 1 others, however much one
 * of them floods. Turns are batches, not time: a lane of long batches holds its places longer, and what bounds that is
 * its own concurrency or the coordinator's share. Nobody is called back: who frees a place asks `pick` whom to poll.
 */
export class EngineGate<L> {
  readonly #line: Seat<L>[] = [];
  #concurrency: number;
  #inflight = 0;

  /** `concurrency`: calls in flight over all lanes; below 1 counts as 1. */
  constructor(concurrency: number) {
    this.#concurrency = Math.max(1, concurrency);
  }

  get concurrency(): number {
    return this.#concurrency;
  }

  /** In force at once. Lowering cancels nothing: places come back as calls end. After raising, poll what `pick` names. */
  set concurrency(concurrency: number) {
    this.#concurrency = Math.max(1, concurrency);
  }

  /** Calls of all lanes in flight; above `concurrency` only after it was lowered, or in bypass. */
  get inflight(): number {
    return this.#inflight;
  }

  /** True when a lane that asks now, without having stood in line, would get a place. */
  get hasFreePlace(): boolean {
    return this.#inflight + this.#line.length < this.#concurrency;
  }

  join(lane: L): Seat<L> {
    return new Seat(lane);
  }

  /** A place for one call; false: none for this lane yet, and it stands in line. */
  enter(seat: Seat<L>): boolean {
    const free = this.#concurrency - this.#inflight;
    // At most as many lanes as models stand in line, so a scan is cheap; most often the line is empty.
    const turn = seat.isInLine ? this.#line.indexOf(seat) : this.#line.length;
    if (turn < free) {
      this.forgo(seat);
      this.force(seat);
      return true;
    }
    if (!seat.isInLine) this.#line.push(seat);
    seat.isInLine = true;
    return false;
  }

  /** Takes a place whether there is one or not: bypass has no limits, but its calls are counted. */
  force(seat: Seat<L>): void {
    seat.inflight++;
    this.#inflight++;
  }

  /** The lane has nothing to send now: its turn passes on. */
  forgo(seat: Seat<L>): void {
    if (!seat.isInLine) return;
    seat.isInLine = false;
    this.#line.splice(this.#line.indexOf(seat), 1);
  }

  /** A call ended. */
  leave(seat: Seat<L>): void {
    seat.inflight--;
    this.#inflight--;
  }

  /**
   * The lane to poll now because a place is free and it is its turn; null: none. Polled, it enters or forgoes, so
   * asking until null ends.
   */
  pick(): L | null {
    return this.#inflight < this.#concurrency ? (this.#line[0]?.lane ?? null) : null;
  }
}
