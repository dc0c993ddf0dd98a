// The hops that are compared, all before one upstream: the agent, Envoy, a Go reverse proxy, Knative's queue-proxy.
import { join } from 'node:path';
import { findFreePorts } from '../support/servers/ports.ts';
import { startBuiltAgent, type AgentOptions } from '../support/peers/built-agent.ts';
import { ENVOY, toEnvoy } from '../support/peers/envoy.ts';
import { runLoad, type LoadOptions, type LoadResult } from '../support/peers/load.ts';
import { startPeer, type Peer } from '../support/peers/peer.ts';
import { readCpuS } from '../support/peers/process-tree.ts';
import { QUEUE_PROXY, toQueueProxy } from '../support/peers/queue-proxy.ts';
import { ensureTool, findTool, runToEnd } from '../support/peers/tools.ts';
import type { Bench } from './question.ts';

export interface Hops extends AsyncDisposable {
  readonly upstream: Peer;
  /** By name: `agent`, `go`, `envoy`, `queue-proxy`, those that are there. */
  readonly peers: ReadonlyMap<string, Peer>;
  readonly versions: Record<string, string>;
  /** What is not there, with the reason. */
  readonly notes: string[];
}

export interface HopsOptions {
  readonly agent?: Omit<AgentOptions, 'upstreamPort' | 'cpu'>;
  /** Which besides the agent and Go. */
  readonly others?: readonly ('envoy' | 'queue-proxy')[];
  /** Service time of the upstream, as Go writes durations. */
  readonly service?: string;
  /** Each on the processor of the bench; else wherever the kernel likes. */
  readonly isPinned: boolean;
}

export async function startHops(bench: Bench, options: HopsOptions): Promise<Hops> {
  const { tools, folder } = bench;
  const cpu = options.isPinned ? bench.cpu : undefined;
  const [upstreamPort = 0, goPort = 0, envoyPort = 0, adminPort = 0, queuePort = 0] = await findFreePorts(5);
  const peers = new Map<string, Peer>();
  const versions: Record<string, string> = {};
  const notes: string[] = [];
  const stack = new AsyncDisposableStack();
  const start = async (peer: Promise<Peer>): Promise<Peer> => stack.use(await peer);
  try {
    const upstreamArgs = [`127.0.0.1:${upstreamPort}`, options.service ?? '0s'];
    const upstream = await start(
      startPeer(
        { name: 'upstream', file: join(tools.folder, 'upstream'), args: upstreamArgs, port: upstreamPort },
        cpu?.others,
      ),
    );
    peers.set(
      'agent',
      await start(startBuiltAgent(bench.build, { upstreamPort, ...pin(cpu?.subject), ...options.agent })),
    );
    const goArgs = [`127.0.0.1:${goPort}`, `http://127.0.0.1:${upstreamPort}`];
    const go = { name: 'go', file: join(tools.folder, 'proxy'), args: goArgs, port: goPort };
    peers.set('go', await start(startPeer(go, cpu?.subject)));
    versions['go'] = (await runToEnd('go', ['env', 'GOVERSION'])).trim();
    if (options.others?.includes('envoy') === true) {
      const envoy = await ensureTool(ENVOY, bench.say);
      if (envoy.kind === 'ready') {
        const command = await toEnvoy(envoy, { port: envoyPort, adminPort, upstreamPort, folder, isAdaptive: false });
        peers.set('envoy', await start(startPeer(command, cpu?.subject)));
        versions['envoy'] = ENVOY.content;
      } else notes.push(`left out: ${envoy.reason}`);
    }
    if (options.others?.includes('queue-proxy') === true) {
      const queue = await findTool(QUEUE_PROXY);
      if (queue.kind === 'ready') {
        peers.set('queue-proxy', await start(startPeer(toQueueProxy(queue, queuePort, upstreamPort), cpu?.subject)));
        versions['queue-proxy'] = QUEUE_PROXY.content;
      } else notes.push(`left out: ${queue.reason}`);
    }
    return { upstream, peers, versions, notes, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/**
 * Offers a load to a hop. Throws where the hop counts requests and did not count these: an agent whose supervisor
 * splices is a good hop, but not the one that was asked about.
 */
export async function offer(bench: Bench, peer: Peer, load: Omit<LoadOptions, 'port'>): Promise<LoadResult> {
  const before = await peer.countRequests?.();
  const result = await runLoad(bench.tools, { ...load, port: peer.port });
  const after = await peer.countRequests?.();
  if (before !== undefined && after !== undefined && after - before < result.answered) {
    throw new Error(`${peer.name} counted ${after - before} of ${result.answered} requests: ${peer.output()}`);
  }
  return result;
}

/** An answer other than 200, or none, is an error here: a hop that refuses is cheap and quick. */
export function requireAll(name: string, result: LoadResult): void {
  const ok = result.statuses['200'] ?? 0;
  if (result.failed === 0 && ok === result.sent) return;
  throw new Error(`${name}: ${result.sent - ok} of ${result.sent} not answered 200: ${JSON.stringify(result)}`);
}

/** Processor time a request of a hop and all its processes at saturation, and what a caller sees. */
export async function measureCpu(
  bench: Bench,
  peer: Peer,
  load: Pick<LoadOptions, 'request' | 'connections'>,
): Promise<{ cpuUs: number; perS: number; p50Ms: number; p99Ms: number }> {
  const beforeS = readCpuS(peer.pid);
  const result = await offer(bench, peer, {
    ...load,
    ...pin(bench.cpu?.others),
    ratePerS: 0,
    durationS: bench.durationS,
  });
  const cpuS = readCpuS(peer.pid) - beforeS;
  requireAll(peer.name, result);
  const { p50Ms, p99Ms } = result.latency;
  return { cpuUs: (1e6 * cpuS) / result.answered, perS: result.achievedPerS, p50Ms, p99Ms };
}

/** `cpu` only where there is one to name. */
export function pin(cpu: number | undefined): { readonly cpu?: number } {
  return cpu === undefined ? {} : { cpu };
}
