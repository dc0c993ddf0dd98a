// What does a request cost when the agent batches it, set against a hop that does nothing?
import { startHops, measureCpu } from './hops.ts';
import { toBinaryRequest, toV1Request } from './bodies.ts';
import { toVerdict, type Question } from './question.ts';
import { compare, ratio, runRounds, toCells } from './rounds.ts';

const CONNECTIONS = 64;
/** As a small model on a GPU; batches form from what arrives meanwhile. */
const SERVICE = '2ms';
const KINDS = {
  'JSON 1 KB': { request: toV1Request(1_000), limit: 1.2 },
  'binary 150 KB': { request: toBinaryRequest(150_000), limit: 1 },
} as const;

export const batched: Question = {
  name: 'batched',
  question: `Processor time of one request that travels in a batch, ${CONNECTIONS} connections in a closed loop, service time ${SERVICE}`,
  durationS: 2,
  async answer(bench) {
    await using hops = await startHops(bench, { isPinned: true, service: SERVICE });
    const readStats = async (): Promise<{ calls: number; items: number }> => {
      const response = await fetch(`http://127.0.0.1:${hops.upstream.port}/stats`);
      return (await response.json()) as { calls: number; items: number };
    };
    const subjects = Object.keys(KINDS).flatMap((kind) => [`agent, ${kind}`, `go, ${kind}`]);
    const samples = await runRounds(subjects, bench, async (subject) => {
      const [name = '', kind = ''] = subject.split(', ');
      const { request } = KINDS[kind as keyof typeof KINDS];
      const before = await readStats();
      const cost = await measureCpu(bench, hops.peers.get(name)!, { request, connections: CONNECTIONS });
      const after = await readStats();
      const meanBatch = (after.items - before.items) / (after.calls - before.calls);
      return { cpuUs: cost.cpuUs, meanBatch, perS: cost.perS, p50Ms: cost.p50Ms, p99Ms: cost.p99Ms };
    });
    return {
      rows: subjects.map((subject) => ({ subject, cells: toCells(samples, subject) })),
      verdicts: Object.entries(KINDS).map(([kind, { limit }]) =>
        toVerdict(
          `CPU a request of the batching agent to Go passing on, ${kind}`,
          compare(samples, 'cpuUs', [`agent, ${kind}`, `go, ${kind}`], ratio),
          limit,
        ),
      ),
      versions: hops.versions,
      notes: [
        ...hops.notes,
        'The agent on its start settings (batch up to 64, delay 0, one call at a time); the upstream serves any number of calls at once, so Go is not held back.',
      ],
    };
  },
};
