// Which piece of the real trace the demo replays.
import type { Random } from '../../src/core/random.ts';
import { collectArrivals } from '../../src/traffic/arrivals.ts';
import { createTraceArrivals } from '../../src/traffic/trace.ts';

export interface DemoArrivals {
  /** Seconds from the start of an arm, never falling. */
  readonly timesS: Float64Array;
  readonly durationS: number;
  /** Where in the trace it begins, trace seconds. */
  readonly fromS: number;
  readonly speed: number;
}

/**
 * The trace's own rates are those of a fleet of LLM servers: 2.6/s on average, 33/s in its busiest ten seconds.
 * Twenty-fold they are a busy image model's, bursts and silences kept.
 */
const SPEED = 20;
/** Pieces with another mean rate than this would be a night or an emergency; a demo of seconds must show neither only. */
const MEAN_PER_S: readonly [number, number] = [55, 90];

/** A piece of the trace as long as an arm; the seed chooses among the pieces of a middling load. */
export function chooseArrivals(trace: Float64Array, durationS: number, random: Random): DemoArrivals {
  const lastS = trace.at(-1) ?? 0;
  const lengthS = durationS * SPEED;
  const pieces: DemoArrivals[] = [];
  for (let fromS = 0; fromS === 0 || fromS + lengthS <= lastS; fromS += 10) {
    const timesS = collectArrivals(createTraceArrivals(trace, { speed: SPEED, fromS, durationS }));
    pieces.push({ timesS, durationS, fromS, speed: SPEED });
  }
  const isMiddling = ({ timesS }: DemoArrivals): boolean =>
    timesS.length / durationS >= MEAN_PER_S[0] && timesS.length / durationS <= MEAN_PER_S[1];
  const middling = pieces.filter(isMiddling);
  const chosen = middling.length > 0 ? middling : pieces;
  return chosen[random.int(chosen.length)] ?? { timesS: new Float64Array(0), durationS, fromS: 0, speed: SPEED };
}
