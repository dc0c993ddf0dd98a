// From a collected request to its lane: whose it is, whether it may be batched, and a moment of patience while the
// model server is asked that for the first time.
import type { Clock } from '../../src/core/clock.ts';
import type { Route } from '../../src/wire/codec.ts';
import { openaiModel } from '../../src/wire/openai.ts';
import type { Batchability, BatchWord } from './batchability.ts';
import { readInference } from './classify.ts';
import type { Driver } from './driver.ts';
import type { Exchange, Mood } from './exchange.ts';
import type { Upstream } from './forward.ts';
import { Hold } from './hold.ts';
import type { ModelLane, Models } from './models.ts';
import { respondFault } from './respond.ts';

export interface IntakeOptions {
  readonly models: Models;
  readonly batchability: Batchability;
  readonly driver: Driver;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly mood: Mood;
  /** A model turned out never to be batched; told once a lane. */
  readonly onUnbatched: ((model: string) => void) | undefined;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #hold: Hold;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#hold = new Hold({ clock: options.clock, release: (entry, exchanges) => this.#release(entry, exchanges) });
  }

  /** The request's body is whole: it is read, and admitted to its lane now or a moment later. */
  admit(exchange: Exchange): void {
    const { models, batchability, driver, upstream, mood } = this.#options;
    const { route } = exchange;
    const entry = models.laneOf(toModelName(route, exchange.body));
    exchange.label = entry.label;
    let askedMs: number | null = null;
    if (route.verb === 'infer') {
      const word = this.#ask(route, entry);
      if (word?.isSettled === false && !mood.isDraining) askedMs = batchability.askedMs(entry.label, route.version);
      readInference(exchange, word?.isBatchable === true || askedMs !== null);
    } else if (!entry.hasBatched) this.#tellUnbatched(entry);
    exchange.reportArrival();
    // Told at once, without a wait for company or for its turn.
    if (upstream.isDown) return respondFault(exchange, { kind: 'upstream', fault: 'unreachable' });
    if (askedMs !== null && exchange.isBatchable) {
      if (this.#hold.take(entry, exchange, route.version, askedMs)) return;
      exchange.isBatchable = false;
    }
    driver.admit(entry, exchange);
  }

  /** The model server was asked about a model and answered, or did not. */
  heard(model: string, version: string | null): void {
    this.#hold.heard(model, version);
  }

  /** What is held goes on now: bypass, drain, the end. */
  releaseAll(): void {
    this.#hold.releaseAll();
  }

  #release(entry: ModelLane, exchanges: readonly Exchange[]): void {
    for (const exchange of exchanges) {
      if (this.#ask(exchange.route, entry)?.isBatchable !== true) exchange.isBatchable = false;
    }
    this.#options.driver.admitAll(entry, exchanges);
  }

  /** Null: it is never batched, whatever the model. */
  #ask({ protocol, model, version }: Route, entry: ModelLane): BatchWord | null {
    // In the shared lane nothing is batched: the engine's own maximum is kept per model.
    if (model === null || model !== entry.label) return null;
    const word = this.#options.batchability.look(protocol, model, version);
    if (word.isBatchable) entry.hasBatched = true;
    // Not known yet is no answer; and what has batched once may do so again.
    if (word.isSettled && !entry.hasBatched) this.#tellUnbatched(entry);
    return word;
  }

  #tellUnbatched(entry: ModelLane): void {
    if (entry.isToldUnbatched) return;
    entry.isToldUnbatched = true;
    this.#options.onUnbatched?.(entry.label);
  }
}

/** OpenAI names the model in the body; where nothing does, the protocol's name will do as a label. */
function toModelName(route: Route, body: Buffer): string {
  return route.model ?? (route.protocol === 'openai' ? openaiModel(body) : null) ?? route.protocol;
}
