// Does adaptive concurrency refuse work that the server could have done? Envoy's filter beside our gradient decider.
import { findFreePorts } from '../support/servers/ports.ts';
import { startBuiltAgent } from '../support/peers/built-agent.ts';
import { ENVOY, toEnvoy } from '../support/peers/envoy.ts';
import { startPeer, type Peer } from '../support/peers/peer.ts';
import { ensureTool } from '../support/peers/tools.ts';
import { toV1Request } from './bodies.ts';
import { offer } from './hops.ts';
import { toVerdict, type Question } from './question.ts';
import { compare, runRounds, toCells } from './rounds.ts';

const CONNECTIONS = 16;
/** A third of what the server does one call after another, so it has room; and as fast as 16 callers can. */
const LOADS = { '500 a second': 500, 'closed loop': 0 } as const;
const PROFILE_ID = 'ResNet-50-v1.5|A100-80GB|AMP-FP16|MxNet';

export const envoyAdaptive: Question = {
  name: 'envoy-adaptive',
  question: `Share of requests that an adaptive limit refuses: ${CONNECTIONS} connections, one emulated server (${PROFILE_ID})`,
  durationS: 6,
  async answer(bench) {
    const envoy = await ensureTool(ENVOY, bench.say);
    const [serverPort = 0] = await findFreePorts(1);
    const listen = `127.0.0.1:${serverPort}`;
    const args = [
      'emulate',
      '--profile-id',
      PROFILE_ID,
      '--listen',
      listen,
      '--model',
      'm',
      '--seed',
      String(bench.seed),
    ];
    await using _server = await startPeer(bench.build.command('emulate', args, serverPort));
    const request = toV1Request(200);
    // A fresh process a round: what is measured is how each finds its limit.
    const start = {
      async direct(): Promise<Peer> {
        return { ..._server, stop: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
      },
      agent: () => startBuiltAgent(bench.build, { upstreamPort: serverPort, decider: 'gradient' }),
      async 'envoy-adaptive'(): Promise<Peer> {
        if (envoy.kind !== 'ready') throw new Error(envoy.reason);
        const [port = 0, adminPort = 0] = await findFreePorts(2);
        const options = { port, adminPort, upstreamPort: serverPort, folder: bench.folder, isAdaptive: true };
        return startPeer(await toEnvoy(envoy, options));
      },
    };
    const names = Object.keys(start).filter((name) => name !== 'envoy-adaptive' || envoy.kind === 'ready');
    const subjects = Object.keys(LOADS).flatMap((load) => names.map((name) => `${name}, ${load}`));
    const samples = await runRounds(subjects, bench, async (subject) => {
      const [name = '', load = ''] = subject.split(', ');
      await using peer = await start[name as keyof typeof start]();
      const result = await offer(bench, peer, {
        request,
        connections: CONNECTIONS,
        ratePerS: LOADS[load as keyof typeof LOADS],
        arrivals: 'poisson',
        durationS: bench.durationS,
      });
      const ok = result.statuses['200'] ?? 0;
      return {
        refusedPercent: (100 * (result.sent - ok)) / result.sent,
        refused: result.sent - ok,
        servedPerS: ok / result.elapsedS,
        p99Ms: result.latency.p99Ms,
      };
    });
    return {
      rows: subjects.map((subject) => ({ subject, cells: toCells(samples, subject) })),
      verdicts: [
        toVerdict(
          'requests the agent refused, %',
          compare(samples, 'refusedPercent', ['agent', 'agent'], (a) => a),
          0,
        ),
      ],
      versions: envoy.kind === 'ready' ? { envoy: ENVOY.content } : {},
      notes: [
        'A fresh process a round. A refused caller of the closed loop asks again at once, which makes the share larger than a patient caller would see.',
        ...(envoy.kind === 'ready' ? [] : [`left out: ${envoy.reason}`]),
      ],
    };
  },
};
