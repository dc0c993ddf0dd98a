// The field table of the agent: every leaf of AgentConfig, in the order of help and README.
import { Type } from 'typebox';
import type { AgentConfig } from '../core/agent-config.ts';
import { LOG_LEVELS } from '../core/log.ts';
import { ADDRESS_EXPECTED, ADDRESS_PATTERN, URL_EXPECTED, URL_PATTERN } from './address.ts';
import type { Field, FieldTable, LeafKey } from './field.ts';
import { POLICY_FIELDS } from './policy-fields.ts';
import { mapOf, oneOf } from './schema.ts';

const address = Type.String({ pattern: ADDRESS_PATTERN, title: ADDRESS_EXPECTED });
const url = Type.String({ pattern: URL_PATTERN, title: URL_EXPECTED, maxLength: 2048 });
const path = Type.String({ minLength: 1, maxLength: 4096, pattern: '^[^\\u0000]*$', title: 'a path' });
const milliseconds = Type.Number({ minimum: 0, maximum: 3_600_000 });

/** `invalid` is a result, and addresses are taken apart only after parsing. */
type AgentKey = LeafKey<Omit<AgentConfig, 'invalid' | 'policy' | 'listen' | 'control' | 'metrics'>>;

const OWN_FIELDS: FieldTable<AgentKey | 'listen' | 'control' | 'metrics'> = {
  listen: {
    schema: address,
    env: 'MORPHLING_LISTEN',
    flag: 'listen',
    unit: 'address',
    default: '0.0.0.0:8080',
    doc: 'Data port, where callers send what they used to send to the model; all interfaces, since they are other pods.',
  },
  upstream: {
    schema: url,
    env: 'MORPHLING_UPSTREAM',
    flag: 'upstream',
    unit: 'url',
    default: 'http://127.0.0.1:8000',
    doc: 'Origin of the model server; 8000 is the HTTP port of Triton, vLLM and most examples.',
  },
  control: {
    schema: address,
    env: 'MORPHLING_CONTROL',
    flag: 'control',
    unit: 'address',
    default: '127.0.0.1:9465',
    doc: 'Control API; loopback only, other hosts are refused.',
  },
  metrics: {
    schema: address,
    env: 'MORPHLING_METRICS',
    flag: 'metrics',
    unit: 'address',
    default: '0.0.0.0:9464',
    doc: 'Prometheus page and probes; all interfaces, since the scraper and the kubelet come from outside.',
  },
  stateDir: {
    schema: path,
    env: 'MORPHLING_STATE_DIR',
    flag: 'state-dir',
    unit: 'path',
    default: '/var/lib/morphling',
    doc: "Settings, policy, history and token; where it cannot be written, the user's XDG state folder.",
  },
  failOpen: {
    schema: Type.Boolean(),
    env: 'MORPHLING_FAIL_OPEN',
    flag: 'fail-open',
    default: false,
    doc: 'Start as a pass-through on defaults instead of exiting when the configuration is bad; off, so that a person sees it.',
  },
  decider: {
    schema: oneOf(['linear', 'aimd', 'gradient', 'fixed']),
    env: 'MORPHLING_DECIDER',
    flag: 'decider',
    default: 'linear',
    doc: 'Which decider chooses settings; linear fits the latency curve online and needs no history.',
  },
  engine: {
    schema: oneOf(['auto', 'none', 'triton', 'emulated']),
    env: 'MORPHLING_ENGINE',
    flag: 'engine',
    default: 'auto',
    doc: 'Whose switches may be turned; auto asks the upstream who it is.',
  },
  engineMetrics: {
    schema: Type.String({
      pattern: `^(?:auto|off|${URL_PATTERN.slice(1, -1)})$`,
      title: `auto, off or ${URL_EXPECTED}`,
    }),
    env: 'MORPHLING_ENGINE_METRICS',
    flag: 'engine-metrics',
    default: 'auto',
    doc: "Where the engine's own metrics page is; auto looks beside the upstream.",
  },
  models: {
    schema: mapOf(
      Type.Object(
        {
          batchable: Type.Optional(Type.Boolean()),
          maxBatchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 4096 })),
        },
        { additionalProperties: false },
      ),
    ),
    env: 'MORPHLING_MODELS',
    default: {},
    doc: 'What is known of single models: name to {batchable, maxBatchSize}; the model server is asked for the rest.',
  },
  'batch.keyHeaders': {
    schema: Type.Array(
      Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", maxLength: 256, title: 'a header name' }),
      {
        maxItems: 64,
      },
    ),
    env: 'MORPHLING_BATCH_KEY_HEADERS',
    default: [],
    doc: 'Headers that must be equal within a batch besides Authorization, Cookie, Accept, Content-Encoding and priority.',
  },
  'limits.bodyBytes': {
    schema: Type.Integer({ minimum: 1, maximum: 2 ** 31 }),
    env: 'MORPHLING_LIMITS_BODY_BYTES',
    unit: 'bytes',
    default: 64 * 2 ** 20,
    doc: "Largest body taken, counted while it is read; 64 MiB, as Triton's own --http-max-input-size.",
  },
  'limits.queueRequests': {
    schema: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    env: 'MORPHLING_LIMITS_QUEUE_REQUESTS',
    unit: 'count',
    default: 10_000,
    doc: "Requests waiting in one model's queue, a hard stop behind the bound in time; 10,000, as linkerd's proxy.",
  },
  'limits.concurrency': {
    schema: Type.Integer({ minimum: 1, maximum: 65_536 }),
    env: 'MORPHLING_LIMITS_CONCURRENCY',
    unit: 'count',
    default: 256,
    doc: 'Upstream calls in flight over all models; four models at the most that one model may have.',
  },
  'limits.connections': {
    schema: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    env: 'MORPHLING_LIMITS_CONNECTIONS',
    unit: 'count',
    default: 10_000,
    doc: "Callers' connections at once; 10,000, as Envoy's edge advice for a listener.",
  },
  'limits.upstreamTimeoutMs': {
    schema: Type.Integer({ minimum: 1, maximum: 86_400_000 }),
    env: 'MORPHLING_LIMITS_UPSTREAM_TIMEOUT_MS',
    unit: 'ms',
    default: 300_000,
    doc: "An upstream without a first byte for so long has timed out; 5 minutes, as Envoy's stream timeout.",
  },
  'drain.delayMs': {
    schema: milliseconds,
    env: 'MORPHLING_DRAIN_DELAY_MS',
    unit: 'ms',
    default: 5000,
    doc: 'After SIGTERM new requests are still taken for so long, until every balancer has seen that /ready failed.',
  },
  'drain.timeoutMs': {
    schema: milliseconds,
    env: 'MORPHLING_DRAIN_TIMEOUT_MS',
    unit: 'ms',
    default: 15_000,
    doc: 'What is in flight after that is finished for so long; both fit the 30 s that Kubernetes gives.',
  },
  'telemetry.accelerator': {
    schema: oneOf(['auto', 'nvidia-smi', 'dcgm', 'busy', 'off']),
    env: 'MORPHLING_TELEMETRY_ACCELERATOR',
    flag: 'accelerator',
    default: 'auto',
    doc: 'Where the device load comes from; auto takes the first that answers, last the busy time of our own calls.',
  },
  'telemetry.nvidiaSmi': {
    schema: path,
    env: 'MORPHLING_TELEMETRY_NVIDIA_SMI',
    unit: 'path',
    default: 'nvidia-smi',
    doc: 'The program to ask; a name without a slash is looked up in PATH.',
  },
  'telemetry.dcgmUrl': {
    schema: url,
    env: 'MORPHLING_TELEMETRY_DCGM_URL',
    unit: 'url',
    default: 'http://127.0.0.1:9400/metrics',
    doc: "The node's dcgm-exporter; 9400 is its own default port.",
  },
  'telemetry.cgroupRoot': {
    schema: path,
    env: 'MORPHLING_TELEMETRY_CGROUP_ROOT',
    unit: 'path',
    default: '/sys/fs/cgroup',
    doc: "Where cgroup v2 is mounted; the kernel's usual place.",
  },
  'mind.rssLimitBytes': {
    schema: Type.Integer({ minimum: 32 * 2 ** 20, maximum: 2 ** 40 }),
    env: 'MORPHLING_MIND_RSS_LIMIT_BYTES',
    unit: 'bytes',
    default: 256 * 2 ** 20,
    doc: 'The mind process is ended above it, well before the container limit, since the kernel would end everything; 256 MiB.',
  },
  logLevel: {
    schema: oneOf(LOG_LEVELS),
    env: 'MORPHLING_LOG_LEVEL',
    flag: 'log-level',
    default: 'info',
    doc: 'Least level that is logged, as JSON lines on stderr.',
  },
};

/** All fields of the agent's file, the policy's under `policy.`. */
export const AGENT_FIELDS: FieldTable = {
  ...OWN_FIELDS,
  ...Object.fromEntries(Object.entries<Field>(POLICY_FIELDS).map(([key, field]) => [`policy.${key}`, field])),
};
