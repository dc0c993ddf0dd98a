// The proxy on a real socket, in this process, with everything around it replaced by what a test can look at.
import type { AddressInfo } from 'node:net';
import type { AgentConfig } from '../../../src/core/agent-config.ts';
import type { BatchCompletion, Completion } from '../../../src/core/completion.ts';
import { createLogger } from '../../../src/core/log.ts';
import { DEFAULT_POLICY } from '../../../src/core/policy.ts';
import { START_SETTINGS, type Settings } from '../../../src/core/settings.ts';
import { createDataServer, type DataServer } from '../../../sidecar/proxy/server.ts';
import { createProxy, type Proxy } from '../../../sidecar/proxy/stack.ts';

export interface ProxyBench {
  readonly port: number;
  readonly proxy: Proxy;
  readonly server: DataServer;
  readonly completions: Completion[];
  readonly batches: BatchCompletion[];
  readonly logs: string[];
  /** Puts other settings in force for every model. */
  set(settings: Partial<Settings>): void;
  setSla(slaMs: number | null): void;
  close(): Promise<void>;
}

export function toTestConfig(upstream: string, change: Partial<AgentConfig> = {}): AgentConfig {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    upstream,
    control: { host: '127.0.0.1', port: 0 },
    metrics: { host: '127.0.0.1', port: 0 },
    stateDir: '/nonexistent',
    failOpen: false,
    decider: 'fixed',
    engine: 'none',
    engineMetrics: 'off',
    models: {},
    batch: { keyHeaders: [] },
    limits: {
      bodyBytes: 1 << 20,
      queueRequests: 1000,
      concurrency: 64,
      connections: 10_000,
      upstreamTimeoutMs: 10_000,
    },
    drain: { delayMs: 100, timeoutMs: 2000 },
    telemetry: { accelerator: 'off', nvidiaSmi: '', dcgmUrl: '', cgroupRoot: '' },
    mind: { rssLimitBytes: 200 << 20 },
    logLevel: 'warn',
    policy: DEFAULT_POLICY,
    invalid: [],
    ...change,
  };
}

export async function startProxyBench(upstream: string, change: Partial<AgentConfig> = {}): Promise<ProxyBench> {
  const completions: Completion[] = [];
  const batches: BatchCompletion[] = [];
  const logs: string[] = [];
  let version = { settings: START_SETTINGS, generation: 1, source: 'start' as const };
  let slaMs: number | null = null;
  const config = toTestConfig(upstream, change);
  const proxy = createProxy({
    config,
    sink: {
      arrived: () => undefined,
      completed: (completion) => completions.push(completion),
      batchCompleted: (batch) => batches.push(batch),
    },
    log: createLogger({ level: 'debug', write: (line) => logs.push(line), nowMs: () => 0 }),
    settings: () => version,
    slaMs: () => slaMs,
  });
  const server = createDataServer(proxy, config.limits.connections);
  await new Promise<void>((resolve) => server.http.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.http.address() as AddressInfo).port,
    proxy,
    server,
    completions,
    batches,
    logs,
    set(settings) {
      version = { ...version, settings: { ...version.settings, ...settings }, generation: version.generation + 1 };
      proxy.settingsChanged();
    },
    setSla(ms) {
      slaMs = ms;
    },
    async close() {
      server.http.close();
      server.http.closeAllConnections();
      await proxy.stop();
    },
  };
}
