// What does a request cost that is only passed on? Processor time of the whole hop at saturation.
import { startHops, measureCpu } from './hops.ts';
import { toV1Request } from './bodies.ts';
import { toVerdict, type Question, type Verdict } from './question.ts';
import { compare, ratio, runRounds, toCells } from './rounds.ts';

const CONNECTIONS = 32;
const SIZES = { '200 B': 200, '150 KB': 150_000 } as const;

export const passthrough: Question = {
  name: 'passthrough',
  question: 'Processor time of one passed-on request, all processes of the hop, 32 connections in a closed loop',
  durationS: 2,
  async answer(bench) {
    // A model that takes no batches still passes admission, the limit and the senses: what such a user pays.
    const agent = { models: { m: { batchable: false } } };
    await using hops = await startHops(bench, { agent, others: ['envoy', 'queue-proxy'], isPinned: true });
    const names = [...hops.peers.keys()];
    const subjects = Object.keys(SIZES).flatMap((size) => [
      ...names.map((name) => `${name}, ${size}`),
      `agent streamed, ${size}`,
    ]);
    const samples = await runRounds(subjects, bench, async (subject) => {
      const [name = '', size = ''] = subject.split(', ');
      const isStreamed = name === 'agent streamed';
      const peer = hops.peers.get(isStreamed ? 'agent' : name)!;
      // A path of no known protocol is streamed both ways.
      const path = isStreamed ? '/predict' : '/v1/models/m:predict';
      const request = toV1Request(SIZES[size as keyof typeof SIZES], path);
      return measureCpu(bench, peer, { request, connections: CONNECTIONS });
    });
    const verdicts: Verdict[] = [];
    for (const size of Object.keys(SIZES)) {
      for (const other of ['go', 'envoy', 'queue-proxy'].filter((name) => hops.peers.has(name))) {
        const measured = compare(samples, 'cpuUs', [`agent, ${size}`, `${other}, ${size}`], ratio);
        verdicts.push(toVerdict(`CPU a request of the agent to ${other}, ${size}`, measured, 1));
      }
    }
    return {
      rows: subjects.map((subject) => ({ subject, cells: toCells(samples, subject) })),
      verdicts,
      versions: hops.versions,
      notes: [
        ...hops.notes,
        '"agent": an inference of a model that takes no batches, body read whole; "agent streamed": a path of no known protocol.',
      ],
    };
  },
};
