// The field table of injection: what an annotation `config.morphling.io/…` on a pod may say.
import { type TSchema, Type } from 'typebox';
import { AGENT_FIELDS } from './agent-fields.ts';
import { oneOf } from './schema.ts';

/** Before every key of the table, on the pod. */
export const INJECT_PREFIX = 'config.morphling.io/';

/** One annotation. Its text becomes a number where the schema says so. */
export interface InjectField {
  /** Type and bounds; `title` words what is expected. */
  readonly schema: TSchema;
  /** Key in AGENT_FIELDS whose flag gets the value; absent: it shapes the pod and never reaches the agent. */
  readonly agentField?: string;
  readonly default: unknown;
  /** One sentence; a default says its source or reason. */
  readonly doc: string;
}

const DNS_NAME = '^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$';
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
/** host:port/, path, :tag, @digest: a reference that no container runtime takes keeps the pod from starting. */
const IMAGE = `^(?:[A-Za-z0-9.-]+(?::[0-9]{1,5})?/)?${PATH_PART}(?:/${PATH_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`;

const cpu = Type.String({
  pattern: '^(?:[0-9]{1,6}m|[0-9]{1,3}(?:\\.[0-9]{1,3})?)$',
  title: 'cores such as 250m or 0.5',
});
const memory = Type.String({
  pattern: '^[0-9]{1,15}(?:\\.[0-9]{1,3})?(?:Ki|Mi|Gi|Ti|k|M|G|T)?$',
  title: 'a size such as 256Mi or 1Gi',
});
const agent = (agentField: string): Pick<InjectField, 'schema' | 'default' | 'agentField'> => {
  const field = AGENT_FIELDS[agentField];
  return { schema: field?.schema ?? Type.Never(), default: field?.default, agentField };
};

export type InjectKey =
  | 'model'
  | 'engine'
  | 'port'
  | 'data-port'
  | 'mode'
  | 'sla-p99-ms'
  | 'tuning-policy'
  | 'image'
  | 'native'
  | 'cpu-request'
  | 'cpu-limit'
  | 'memory-request'
  | 'memory-limit'
  | 'log-level';

/** In the order of help and README. Keys are what follows the prefix. */
export const INJECT_FIELDS: Readonly<Record<InjectKey, InjectField>> = {
  model: {
    schema: Type.String({ pattern: '^[\\w.:@/ -]{1,128}$', title: 'a model name of at most 128 plain characters' }),
    default: undefined,
    doc: 'Name of the model: load tests find the pod by it, and its metrics always have a label of their own; left out: names are seen in the traffic.',
  },
  engine: { ...agent('engine'), doc: 'Which model server it is; auto asks it.' },
  port: {
    schema: Type.String({
      pattern: '^(?:[1-9][0-9]{0,4}|(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?)$',
      title: "the name or number of the model server's port",
    }),
    default: undefined,
    doc: "Where the model server listens for HTTP; left out: the container's http port, found by its name.",
  },
  'data-port': {
    schema: Type.Integer({ minimum: 1024, maximum: 65_535 }),
    default: 19_480,
    doc: 'Where the agent listens; for controllers whose Service has a fixed number: the model moves, the agent takes its place.',
  },
  mode: {
    ...agent('policy.mode'),
    doc: 'What to weigh: latency (performance), device time (cost), or both (balanced).',
  },
  'sla-p99-ms': {
    ...agent('policy.sla.p99Ms'),
    doc: 'Target for the 99th percentile of latency, ms; left out: 3 times the measured p99 at batch 1.',
  },
  'tuning-policy': {
    schema: Type.String({ pattern: DNS_NAME, title: 'the name of a TuningPolicy' }),
    default: undefined,
    doc: 'The TuningPolicy whose settings the operator gives to this pod; written to the status for it.',
  },
  image: {
    schema: Type.String({ pattern: IMAGE, maxLength: 512, title: 'an image such as morphling:0.1.0' }),
    default: undefined,
    doc: "Image of the agent; left out: the injector's own default.",
  },
  native: {
    schema: oneOf(['auto', 'true', 'false']),
    default: 'auto',
    doc: 'A native sidecar or an ordinary container; auto: native from Kubernetes 1.33, whose Services find its named ports.',
  },
  'cpu-request': { schema: cpu, default: '100m', doc: "Cores reserved; 100m, as Linkerd's production default." },
  'cpu-limit': {
    schema: cpu,
    default: undefined,
    doc: 'Cores at most; none, since throttling of a proxy is latency of the model.',
  },
  'memory-request': {
    schema: memory,
    default: '256Mi',
    doc: "Memory reserved; 256Mi, the agent's three processes at rest with room for a queue.",
  },
  'memory-limit': {
    schema: memory,
    default: '768Mi',
    doc: 'Memory at most; a third of it is what the mind process may use before it is ended, so the requests go on.',
  },
  'log-level': { ...agent('logLevel'), doc: 'Least level that is logged.' },
};
