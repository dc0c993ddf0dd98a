// Checks of a running agent and the model server behind it.
import { toMessage } from '../core/errors.ts';
import { fail, pass, warn, type CheckResult } from './check-report.ts';
import type { Control } from './control.ts';
import { formatPercent } from './format.ts';
import type { Http } from './http.ts';
import { at, numberAt, recordsAt, textAt } from './json.ts';
import { toSafeText } from './output.ts';

/** More throttled periods than this cost latency (a sidecar under a CPU limit is the classic case). */
const THROTTLED_MAX = 0.05;
/** Three calm sampling intervals. */
const TELEMETRY_AGE_MAX_MS = 30_000;

/** What `GET /v1/status` and `/v1/snapshot` said; null when the agent did not answer. */
export interface AgentAnswers {
  readonly status: unknown;
  readonly snapshot: unknown;
}

/** Asks the control port; the first result says whether it answers. */
export async function askAgent(control: Control): Promise<{ answers: AgentAnswers | null; result: CheckResult }> {
  const name = `control port ${control.address} answers`;
  try {
    const status = await control.getJson('/v1/status');
    // Null until there was traffic.
    const snapshot = at(await control.getJson('/v1/snapshot'), 'snapshot');
    return { answers: { status, snapshot }, result: pass(name) };
  } catch (error) {
    const hint = 'is the agent running? morphling agent starts it; --control names another address';
    return { answers: null, result: fail(name, toMessage(error), hint) };
  }
}

/** Is the model server there, and is its model ready. `http` is a client of the upstream. */
export async function checkUpstream(http: Http, url: string): Promise<CheckResult[]> {
  const name = `model server ${url} can be reached`;
  try {
    await http.getJson('/v2/health/ready');
    return [pass(name), pass('model server is ready')];
  } catch (error) {
    const code = textAt(error, 'code');
    if (code === 'UNREACHABLE' || code === 'TIMED_OUT')
      return [fail(name, toMessage(error), 'start it, or name another with --upstream or MORPHLING_UPSTREAM')];
    const ready = 'model server is ready';
    if (code === 'NOT_FOUND')
      return [
        pass(name),
        warn(
          ready,
          'it has no /v2/health/ready',
          'not a V2 server: traffic passes, readiness is what its own probe says',
        ),
      ];
    // Some servers answer their health path with an empty or plain body: status 200 is enough.
    if (code === 'BAD_RESPONSE') return [pass(name), pass(ready)];
    return [pass(name), fail(ready, toMessage(error), 'it is still loading, or its model failed to load: see its log')];
  }
}

/** States that a person should know of, and telemetry that went quiet. */
export function checkState({ status, snapshot }: AgentAnswers): CheckResult[] {
  const isBypassed = at(status, 'isBypass') === true;
  const isPaused = at(status, 'isPaused') === true;
  const stateProblem = textAt(status, 'stateProblem');
  const invalid = at(status, 'configInvalid');
  return [
    isBypassed
      ? warn('requests are batched', 'the bypass is on', 'morphling bypass off')
      : pass('requests are batched (bypass is off)'),
    isPaused
      ? warn('settings are tuned', 'tuning is paused', 'morphling resume')
      : pass('settings are tuned (not paused)'),
    ...(Array.isArray(invalid) && invalid.length > 0
      ? [
          warn(
            'its configuration was understood',
            toSafeText(invalid.map(String).join('; ')),
            'mend it and restart: until then it is a pass-through',
          ),
        ]
      : []),
    textAt(status, 'mind') === 'down'
      ? warn('the tuner runs', 'its process is down', 'it is started again; its log says why it ended')
      : pass('the tuner runs, or has had nothing to do yet'),
    stateProblem === null
      ? pass('settings and history reach the disk')
      : warn(
          'settings and history reach the disk',
          toSafeText(stateProblem),
          'they are lost at a restart: see to the state folder',
        ),
    checkThrottling(snapshot),
    ...checkTelemetry(status),
  ];
}

function checkThrottling(snapshot: unknown): CheckResult {
  const name = 'CPU is not throttled';
  const ratio = numberAt(snapshot, 'telemetry', 'host', 'throttledRatio');
  if (ratio === null) return pass(`${name} (no CPU limit seen)`);
  if (ratio <= THROTTLED_MAX) return pass(name);
  return warn(
    name,
    `${formatPercent(ratio)} of the periods were`,
    'raise or remove the CPU limit of the container: throttling adds to every latency',
  );
}

function checkTelemetry(status: unknown): CheckResult[] {
  const sources = recordsAt(status, 'telemetry');
  if (sources.length === 0) return [pass('telemetry: no source has reported yet (it starts with the traffic)')];
  return sources.map((source) => {
    const name = `telemetry of ${toSafeText(textAt(source, 'source') ?? 'unknown')} is fresh`;
    const ageMs = numberAt(source, 'ageMs');
    const lastError = textAt(source, 'lastError');
    if (ageMs !== null && ageMs <= TELEMETRY_AGE_MAX_MS) return pass(name);
    const age = ageMs === null ? 'it never reported' : `it is ${Math.round(ageMs / 1000)} s old`;
    return warn(name, lastError === null ? age : `${age}: ${toSafeText(lastError)}`, 'decisions go on without it');
  });
}
