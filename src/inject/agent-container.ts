// The agent's container, as Pod Security `restricted` wants it.
import { AGENT_FIELDS } from '../config/agent-fields.ts';
import { INJECT_FIELDS, type InjectKey } from '../config/inject-fields.ts';
import type { Visibility } from './gpu.ts';
import type { Knobs } from './knobs.ts';
import { DATA_PORT_NAME, METRICS_PORT_NAME } from './ports.ts';
import { toBytes, toMillicores } from './quantity.ts';
import type { AgentPorts, InjectOptions } from './result.ts';

export const AGENT_CONTAINER = 'morphling-agent';
const STATE_DIR = '/var/lib/morphling';

/** Of the image's own user. */
const USER_ID = 10_001;

export interface AgentPlan {
  readonly isNative: boolean;
  readonly modelPort: number;
  readonly ports: AgentPorts;
  /** Port names taken over from the model. */
  readonly names: readonly string[];
  readonly knobs: Knobs;
  readonly visibility: Visibility;
  /** Of the emptyDir for settings, history and token. */
  readonly volume: string;
}

export function createAgentContainer(plan: AgentPlan, options: InjectOptions): Record<string, unknown> {
  const { isNative, ports, names, knobs, visibility, volume } = plan;
  const userId = options.userId === undefined ? USER_ID : options.userId;
  const hasAlias = names.length === 0 || ((options.hasDataAlias ?? true) && !names.includes(DATA_PORT_NAME));
  const dataNames = hasAlias ? [...names, DATA_PORT_NAME] : names;
  return {
    name: AGENT_CONTAINER,
    image: knobs.image ?? options.image ?? `morphling:${options.version}`,
    ...(isNative ? { restartPolicy: 'Always' } : {}),
    args: toArgs(plan, options),
    env: [
      { name: 'MORPHLING_POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'MORPHLING_NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      ...toEnvironment(plan),
      ...visibility.env,
    ],
    ports: [
      ...dataNames.map((name) => ({ name, containerPort: ports.data, protocol: 'TCP' })),
      { name: METRICS_PORT_NAME, containerPort: ports.metrics, protocol: 'TCP' },
    ],
    // /live never depends on the model, so a model that loads for an hour does not hold up the containers after us.
    startupProbe: { httpGet: { path: '/live', port: ports.metrics }, periodSeconds: 1, failureThreshold: 120 },
    // Agent and model: a pod is ready when both are.
    readinessProbe: {
      httpGet: { path: '/ready', port: ports.metrics },
      periodSeconds: 5,
      timeoutSeconds: 2,
      failureThreshold: 3,
    },
    resources: toResources(knobs, visibility),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      ...(userId === null ? {} : { runAsUser: userId, runAsGroup: userId }),
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [{ name: volume, mountPath: STATE_DIR }],
  };
}

function toArgs({ modelPort, ports, knobs, visibility }: AgentPlan, options: InjectOptions): string[] {
  const host = options.listenHost ?? '0.0.0.0';
  const args = [
    'agent',
    '--fail-open',
    '--listen',
    `${host}:${ports.data}`,
    '--upstream',
    `http://127.0.0.1:${modelPort}`,
    '--control',
    `127.0.0.1:${ports.control}`,
    '--metrics',
    `${host}:${ports.metrics}`,
    '--state-dir',
    STATE_DIR,
  ];
  for (const [key, field] of Object.entries(INJECT_FIELDS)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys of the table itself
    const text = knobs[key as InjectKey];
    const flag = field.agentField === undefined ? undefined : AGENT_FIELDS[field.agentField]?.flag;
    if (text !== undefined && flag !== undefined) args.push(`--${flag}`, text);
  }
  return [...args, ...visibility.args];
}

function toEnvironment({ isNative, knobs }: AgentPlan): Record<string, unknown>[] {
  const limitBytes = toBytes(knobs['memory-limit'] ?? String(INJECT_FIELDS['memory-limit'].default));
  return [
    // A kernel kill takes the whole container, so the mind has to go well before that.
    { name: 'MORPHLING_MIND_RSS_LIMIT_BYTES', value: String(Math.floor(limitBytes / 3)) },
    // A native sidecar is told to stop when the model is gone already: waiting then would serve nobody.
    ...(isNative ? [{ name: 'MORPHLING_DRAIN_DELAY_MS', value: '0' }] : []),
    ...(knobs.model === undefined ? [] : [{ name: 'MORPHLING_MODELS', value: JSON.stringify({ [knobs.model]: {} }) }]),
  ];
}

/** Requests and a memory limit; a CPU limit only where someone asks for it. */
function toResources(knobs: Knobs, { claims }: Visibility): Record<string, unknown> {
  const read = (key: InjectKey): string => knobs[key] ?? String(INJECT_FIELDS[key].default);
  const [cpu, memory] = [knobs['cpu-limit'], read('memory-limit')];
  // A default request above a limit that was asked for would be refused by the API server.
  const isCpuOver = cpu !== undefined && toMillicores(read('cpu-request')) > toMillicores(cpu);
  const isMemoryOver = toBytes(read('memory-request')) > toBytes(memory);
  return {
    requests: {
      cpu: isCpuOver ? cpu : read('cpu-request'),
      memory: isMemoryOver ? memory : read('memory-request'),
    },
    limits: { ...(cpu === undefined ? {} : { cpu }), memory },
    ...(claims.length === 0 ? {} : { claims }),
  };
}
