// What does the container take? Memory of all its processes under load, processor time when nothing comes.
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { findFreePorts } from '../support/servers/ports.ts';
import { startBuiltAgent } from '../support/peers/built-agent.ts';
import { startPeer } from '../support/peers/peer.ts';
import { readCpuS, readTree } from '../support/peers/process-tree.ts';
import { toV1Request } from './bodies.ts';
import { offer, requireAll } from './hops.ts';
import { toVerdict, type Question, type Row, type Spread } from './question.ts';
import { toSpread } from './rounds.ts';

const RATE_PER_S = 200;
const MIB = 1024 * 1024;
const LOOK_S = 5;
/** Long enough that 10 ms of the kernel's counting are 0.03 %. */
const IDLE_S = 30;
const SETTLE_S = 10;

export const footprint: Question = {
  name: 'footprint',
  question: `Memory of all processes at ${RATE_PER_S} requests a second, and processor time when idle, telemetry every second, no learning`,
  durationS: 180,
  async answer(bench) {
    const [upstreamPort = 0] = await findFreePorts(1);
    await using _upstream = await startPeer({
      name: 'upstream',
      file: join(bench.tools.folder, 'upstream'),
      args: [`127.0.0.1:${upstreamPort}`, '2ms'],
      port: upstreamPort,
    });
    await using agent = await startBuiltAgent(bench.build, {
      upstreamPort,
      decider: 'linear',
      env: {
        MORPHLING_SAMPLING_INTERVAL_S: '1',
        MORPHLING_SAMPLING_BURST_INTERVAL_S: '1',
        MORPHLING_LEARN_ONLINE: 'false',
      },
    });
    const load = { request: toV1Request(1_000), connections: 16, ratePerS: RATE_PER_S };
    // The mind starts with the first traffic; idle without it would be the idle of half an agent.
    await offer(bench, agent, { ...load, durationS: 5 });
    await sleep(1000 * SETTLE_S);
    const idle = await measureIdle(agent.pid);
    bench.say(`idle: ${(100 * idle).toFixed(2)} % of a processor`);

    const looks: { name: string; pssMib: number; rssMib: number }[][] = [];
    const running = offer(bench, agent, { ...load, durationS: bench.durationS });
    const beforeS = readCpuS(agent.pid);
    const startMs = performance.now();
    // Until the load is over: then the race is won by its result.
    while ((await Promise.race([sleep(1000 * LOOK_S), running])) === undefined) {
      const tree = readTree(agent.pid, true).filter(({ name }) => name !== '');
      looks.push(
        tree.map(({ name, pssBytes, rssBytes }) => ({
          name,
          pssMib: (pssBytes ?? rssBytes) / MIB,
          rssMib: rssBytes / MIB,
        })),
      );
    }
    const result = await running;
    const busy = (readCpuS(agent.pid) - beforeS) / ((performance.now() - startMs) / 1000);
    requireAll(agent.name, result);

    // Only the second half: a heap that still grows there is seen in the spread.
    const late = looks.slice(looks.length >> 1);
    const names = [...new Set(late.flat().map(({ name }) => name))];
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    const total = toSpread(late.map((look) => sum(look.map(({ pssMib }) => pssMib))));
    const rows: Row[] = names.map((name) => {
      const own = late.map((look) => look.filter((use) => use.name === name));
      return {
        subject: name,
        cells: {
          pssMib: toSpread(own.map((uses) => sum(uses.map(({ pssMib }) => pssMib)))),
          rssMib: toSpread(own.map((uses) => sum(uses.map(({ rssMib }) => rssMib)))),
        },
      };
    });
    return {
      rows: [...rows, { subject: 'all', cells: { pssMib: total } }],
      verdicts: [
        toVerdict('PSS of all processes, MB (10^6 bytes)', scale(total, MIB / 1e6), 130),
        toVerdict('processor time when idle, % of one', toSpread([100 * idle]), 1),
      ],
      versions: {},
      notes: [
        `Spreads are over the second half of ${bench.durationS} s at ${RATE_PER_S} requests a second (1 KB, batched where they meet); ${(100 * busy).toFixed(1)} % of a processor meanwhile.`,
        'PSS counts a page shared by two processes as half a page to each; processes outside the agent that run the same Node take their share of it, and make the figure smaller.',
      ],
    };
  },
};

async function measureIdle(pid: number): Promise<number> {
  const beforeS = readCpuS(pid);
  const startMs = performance.now();
  await sleep(1000 * IDLE_S);
  return (readCpuS(pid) - beforeS) / ((performance.now() - startMs) / 1000);
}

function scale({ median, min, max }: Spread, by: number): Spread {
  return { median: median * by, min: min * by, max: max * by };
}
