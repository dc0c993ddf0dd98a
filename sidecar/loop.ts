// The control loop: snapshot -> decide -> guard -> apply, once a period and model by model. It knows none of them; it is handed three functions.
import { toMessage } from '../src/core/errors.ts';
import type { Decision, Explanation, Guarded, Proposal } from '../src/core/proposal.ts';
import type { ModelSnapshot, Snapshot } from '../src/core/snapshot.ts';

export interface LoopParts {
  /** In order of preference: when one throws, the next is asked; when all do, the last good settings stand. */
  readonly decide: readonly ((model: ModelSnapshot, snapshot: Snapshot) => Decision)[];
  guard(proposal: Proposal, model: ModelSnapshot, snapshot: Snapshot): Guarded;
  /** False when it was not taken. */
  apply(proposal: Proposal): boolean;
  /** Every decision, holds too. */
  explained(explanation: Explanation): void;
  /** A decider, the guard or the application threw; the loop goes on. */
  failed(model: string, message: string): void;
  /** Wall clock, ISO 8601. */
  nowIso(): string;
}

/** Driven by snapshots, so that it needs no timer: the window that ends is the period. Never throws. */
export class ControlLoop {
  readonly #parts: LoopParts;
  #isPaused = false;
  #faults = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** Errors caught since the start. */
  get faults(): number {
    return this.#faults;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Paused: snapshots are still decided on, so that fits stay warm and `explain` shows what would be done; nothing is applied. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** One period. A model whose part fails leaves the others untouched. */
  tick(snapshot: Snapshot): void {
    for (const model of snapshot.models) {
      this.#caught(model.model, null, () => this.#turn(model, snapshot));
    }
  }

  #turn(model: ModelSnapshot, snapshot: Snapshot): null {
    const decision = this.#decide(model, snapshot);
    let guarded: Guarded | null = null;
    let result: Explanation['result'] = 'held';
    if (decision.kind === 'propose') {
      guarded = this.#parts.guard(decision.proposal, model, snapshot);
      const { proposal } = guarded;
      if (guarded.kind === 'veto') result = 'vetoed';
      else if (!this.#isPaused)
        result = this.#caught(model.model, false, () => this.#parts.apply(proposal)) ? 'applied' : 'refused';
    }
    this.#parts.explained({ at: this.#parts.nowIso(), model: model.model, decision, guarded, result });
    return null;
  }

  #decide(model: ModelSnapshot, snapshot: Snapshot): Decision {
    for (const decide of this.#parts.decide) {
      const decision = this.#caught(model.model, null, () => decide(model, snapshot));
      if (decision !== null) return decision;
    }
    return {
      kind: 'hold',
      model: model.model,
      decider: 'none',
      reason: 'every decider failed, the last good settings stand',
    };
  }

  #caught<T>(model: string, otherwise: T, work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#faults++;
      try {
        this.#parts.failed(model, toMessage(error));
      } catch {
        // The fault is counted already; a broken log must not stop the loop.
      }
      return otherwise;
    }
  }
}
