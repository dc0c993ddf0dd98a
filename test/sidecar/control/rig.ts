// A control server on loopback with a small agent behind it that remembers what was written.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChangeOutcome, ControlDeps, ControlledModel } from '../../../sidecar/control/deps.ts';
import { createControlApp } from '../../../sidecar/control/http.ts';
import { listen, type Listening } from '../../../sidecar/control/listen.ts';
import { EventHub, type EventHubOptions } from '../../../sidecar/control/stream.ts';
import { TokenFile } from '../../../sidecar/control/token.ts';
import type { StatusBody } from '../../../src/api/status.ts';
import { createLogger } from '../../../src/core/log.ts';
import { DEFAULT_POLICY, type Policy, toBounds } from '../../../src/core/policy.ts';
import { type Settings, START_SETTINGS, type SettingsVersion } from '../../../src/core/settings.ts';

export interface Rig {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly token: string;
  readonly hub: EventHub;
  readonly deps: ControlDeps;
  readonly writes: unknown[];
  readonly logs: string[];
  readonly clock: { ms: number };
  models: string[];
  isReady: boolean;
  /** The app itself, without a socket: for many requests. */
  readonly app: ReturnType<typeof createControlApp>;
  /** A request with the token unless `headers` says otherwise. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

export async function startRig(stream: EventHubOptions = {}): Promise<Rig> {
  const dir = mkdtempSync(join(tmpdir(), 'morphling-control-'));
  const token = new TokenFile(join(dir, 'token'));
  token.ensure();
  const hub = new EventHub(stream);
  const writes: unknown[] = [];
  const logs: string[] = [];
  const clock = { ms: 0 };
  let policy: Policy = DEFAULT_POLICY;
  let isPaused = false;
  let isBypass = false;
  let version: SettingsVersion = { settings: START_SETTINGS, generation: 1, source: 'start' };
  const put = (settings: Settings): ChangeOutcome => {
    version = { settings, generation: version.generation + 1, source: 'user' };
    return { kind: 'applied', version };
  };
  const bounds = toBounds(DEFAULT_POLICY, { p99Ms: 100, isAssumed: false });
  const deps: ControlDeps = {
    version: '1.2.3',
    status: () => statusOf(policy, isPaused, isBypass),
    models: () => rig.models.map((model): ControlledModel => ({ model, version, bounds })),
    putSettings(model, settings, isImmediate) {
      writes.push({ model, settings, isImmediate });
      return put(settings);
    },
    rollBack(model) {
      writes.push({ rollback: model });
      return { kind: 'unchanged', version };
    },
    policy: () => policy,
    putPolicy(next) {
      writes.push({ policy: next });
      policy = next;
    },
    isPaused: () => isPaused,
    setPaused(next) {
      writes.push({ isPaused: next });
      isPaused = next;
    },
    isBypass: () => isBypass,
    setBypass(next) {
      writes.push({ isBypass: next });
      isBypass = next;
    },
    history: () => [],
    explain: () => [],
    snapshot: () => null,
    readiness: () => ({
      isReady: rig.isReady,
      agent: true,
      model: rig.isReady,
      reason: rig.isReady ? '' : 'the model is not ready',
    }),
    stream: hub,
    token,
    log: createLogger({ level: 'debug', write: (line) => logs.push(line), nowMs: () => 0, maxLinesPerS: 1e6 }),
    nowMs: () => clock.ms,
  };
  const app = createControlApp(deps);
  const server: Listening = await listen(app, { host: '127.0.0.1', port: 0 });
  const { port } = server.address;
  const url = `http://127.0.0.1:${port}`;
  const secret = readFileSync(token.path, 'utf8').trim();
  const rig: Rig = {
    url,
    port,
    dir,
    token: secret,
    hub,
    deps,
    writes,
    logs,
    clock,
    app,
    models: ['resnet'],
    isReady: true,
    call(method, path, body, headers = {}) {
      const hasBody = body !== undefined;
      return fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${secret}`,
          ...(hasBody ? { 'content-type': 'application/json' } : {}),
          ...headers,
        },
        ...(hasBody ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
      });
    },
    close: () => server.close(),
  };
  return rig;
}

export function statusOf(policy: Policy, isPaused: boolean, isBypass: boolean): StatusBody {
  return {
    version: '1.2.3',
    uptimeS: 1,
    upstream: 'http://127.0.0.1:8000',
    isReady: true,
    isPaused,
    isBypass,
    mode: policy.mode,
    decider: 'linear',
    engine: 'none',
    mind: 'up',
    configInvalid: [],
    stateProblem: null,
    deviceSource: null,
    telemetry: [],
    models: [],
  };
}
