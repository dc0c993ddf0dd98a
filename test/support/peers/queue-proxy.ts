// Knative's queue-proxy, the sidecar that stands where ours does. Built once from its published module.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runToEnd, type Recipe, type Tool } from './tools.ts';
import type { PeerCommand } from './peer.ts';

/** The newest whose dependencies resolve without upgrades. */
const VERSION = 'v0.42.2';

/** One to ten minutes the first time, at the lowest priority. */
export const QUEUE_PROXY: Recipe = {
  name: 'queue-proxy',
  content: VERSION,
  async build(folder, say) {
    const module = join(folder, 'module');
    await runToEnd('mkdir', ['-p', module]);
    await writeFile(join(module, 'go.mod'), 'module morphling.test/queue-proxy\n\ngo 1.24\n');
    const options = { cwd: module, env: { CGO_ENABLED: '0', GOFLAGS: '-mod=mod', GOWORK: 'off' }, isPatient: true };
    say('fetching modules');
    await runToEnd('go', ['get', `knative.dev/serving/cmd/queue@${VERSION}`], options);
    say('compiling; one to ten minutes');
    await runToEnd('go', ['build', '-p', '1', '-o', join(folder, 'queue'), 'knative.dev/serving/cmd/queue'], options);
  },
};

/** It has no flags, only these. Ports it serves besides `port` are not asked for, so they go where nothing listens. */
export function toQueueProxy(tool: Tool, port: number, upstreamPort: number): PeerCommand {
  return {
    name: 'queue-proxy',
    file: join(tool.folder, 'queue'),
    args: [],
    env: {
      GOMAXPROCS: '1',
      CONTAINER_CONCURRENCY: '0',
      QUEUE_SERVING_PORT: String(port),
      QUEUE_SERVING_TLS_PORT: String(port + 1),
      USER_PORT: String(upstreamPort),
      REVISION_TIMEOUT_SECONDS: '300',
      SERVING_LOGGING_CONFIG: '',
      SERVING_LOGGING_LEVEL: 'error',
      SERVING_NAMESPACE: 'default',
      SERVING_SERVICE: 'model',
      SERVING_CONFIGURATION: 'model',
      SERVING_REVISION: 'model-00001',
      SERVING_POD: 'model-0',
      SERVING_POD_IP: '127.0.0.1',
      SERVING_READINESS_PROBE: JSON.stringify({ tcpSocket: { host: '127.0.0.1', port: upstreamPort } }),
      SERVING_REQUEST_METRICS_BACKEND: 'prometheus',
    },
    port,
  };
}
