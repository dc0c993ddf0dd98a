// How much later does an answer come because of the hop? Open loop at 1,000 requests a second.
import { offer, requireAll, startHops } from './hops.ts';
import { toV1Request } from './bodies.ts';
import { toVerdict, type Question } from './question.ts';
import { compare, difference, runRounds, toCells } from './rounds.ts';

const RATE_PER_S = 1_000;
const CONNECTIONS = 32;
/** A generator that is later than this in the middle of its requests has not offered the load it says. */
const SCHEDULE_ERROR_MAX_MS = 0.5;

export const addedLatency: Question = {
  name: 'added-latency',
  question: `Latency added at ${RATE_PER_S} requests a second, 200 B, open loop, Poisson arrivals, against the upstream itself`,
  durationS: 4,
  async answer(bench) {
    const agent = { models: { m: { batchable: false } } };
    await using hops = await startHops(bench, { agent, others: ['envoy', 'queue-proxy'], isPinned: false });
    const peers = new Map([['direct', hops.upstream], ...hops.peers]);
    const subjects = [...peers.keys()];
    const request = toV1Request(200);
    let seed = bench.seed;
    let lateRuns = 0;
    const samples = await runRounds(subjects, bench, async (subject) => {
      seed += 1;
      const result = await offer(bench, peers.get(subject)!, {
        request,
        connections: CONNECTIONS,
        ratePerS: RATE_PER_S,
        durationS: bench.durationS,
        arrivals: 'poisson',
        seed,
      });
      requireAll(subject, result);
      if (result.scheduleError.p50Ms > SCHEDULE_ERROR_MAX_MS) lateRuns += 1;
      const { p50Ms, p90Ms, p99Ms } = result.latency;
      return { p50Ms, p90Ms, p99Ms, scheduleErrorP99Ms: result.scheduleError.p99Ms };
    });
    return {
      rows: subjects.map((subject) => ({ subject, cells: toCells(samples, subject) })),
      verdicts: [
        toVerdict('added p50, ms', compare(samples, 'p50Ms', ['agent', 'direct'], difference), 0.3),
        toVerdict('added p99, ms', compare(samples, 'p99Ms', ['agent', 'direct'], difference), 1),
        ...subjects
          .filter((name) => name !== 'agent' && name !== 'direct')
          .map((name) =>
            toVerdict(`p99 over ${name}'s, ms`, compare(samples, 'p99Ms', ['agent', name], difference), 0),
          ),
      ],
      versions: hops.versions,
      notes: [
        ...hops.notes,
        "Latency counts from when a request was due, so the generator's own lateness is in every row alike.",
        `Runs whose generator was late by more than ${SCHEDULE_ERROR_MAX_MS} ms in the median: ${lateRuns}.`,
      ],
    };
  },
};
