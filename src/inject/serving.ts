// Which container of a pod serves the model, and on which port it takes HTTP.
import { at, type Container, containersOf, listAt, type PodLike, type Port, portsOf, textAt } from './pod.ts';
import type { Note, Refusal } from './result.ts';

export interface Serving {
  readonly container: Container;
  /** Where the model server listens. */
  readonly port: number;
  readonly notes: readonly Note[];
}

/** Containers that other injectors and platforms put beside a model. */
const NEIGHBOURS = new Set([
  'istio-proxy',
  'linkerd-proxy',
  'queue-proxy',
  'daprd',
  'vault-agent',
  'cloud-sql-proxy',
  'cloudsql-proxy',
  'envoy',
  'consul-dataplane',
  'kuma-sidecar',
  'oauth-proxy',
  'kube-rbac-proxy',
  'fluent-bit',
  'otel-collector',
  'modelcar',
]);

/** KServe's own port where a container declares none. */
const KSERVE_PORT = 8080;

/** Protocols that the agent cannot forward, by the number that everybody knows them by. */
const OTHER_PROTOCOLS: Readonly<Record<number, string>> = {
  22: 'SSH',
  25: 'SMTP',
  53: 'DNS',
  1433: 'SQL Server',
  2379: 'etcd',
  3306: 'MySQL',
  4222: 'NATS',
  5432: 'PostgreSQL',
  5672: 'AMQP',
  6379: 'Redis',
  9042: 'Cassandra',
  9092: 'Kafka',
  11_211: 'memcached',
  27_017: 'MongoDB',
};

/** What a declared port looks like, by its name and number. */
type PortKind = 'http' | 'grpc' | 'tls' | 'other' | 'side';

/** `wanted`: the annotation, a name or a number; undefined: found by the names. */
export function findServing(pod: PodLike, wanted: string | undefined): Serving | Refusal {
  const containers = containersOf(pod);
  if (containers.length === 0) return refuse('the pod has no container', 'give it one that serves a model');
  const models = containers.filter((container) => !isNeighbour(container));
  const found = wanted === undefined ? findByName(models, pod) : findWanted(containers, models, wanted);
  if ('kind' in found) return found;
  const { container, port } = found;
  return isTls(container, port)
    ? refuse(
        `the model server speaks TLS on port ${port} (its probe says HTTPS), and the agent forwards plain HTTP`,
        'let the model server take plain HTTP inside the pod, or name another port with config.morphling.io/port',
      )
    : found;
}

/** A helper of the pod, not its model. KServe's own agent is called just `agent`, so its port says who it is. */
function isNeighbour(container: Container): boolean {
  return NEIGHBOURS.has(container.name) || isKserveAgent(container) || container.name === 'morphling-agent';
}

export function isKserveAgent(container: Container): boolean {
  return (
    container.name === 'agent' &&
    (listAt(container.raw, 'args').includes('--component-port') ||
      portsOf(container).some((port) => port.name === 'agent-port'))
  );
}

function findWanted(all: readonly Container[], models: readonly Container[], wanted: string): Serving | Refusal {
  const isNumber = /^\d+$/.test(wanted);
  for (const container of [...models, ...all]) {
    const port = portsOf(container).find((one) => (isNumber ? one.number === Number(wanted) : one.name === wanted));
    if (port !== undefined) return { container, port: port.number, notes: [] };
  }
  const container = choose(models);
  if (!isNumber || Number(wanted) > 65_535)
    return refuse(`no container has a port called ${wanted}`, 'correct config.morphling.io/port, or give its number');
  if (container === null) return noModel();
  return { container, port: Number(wanted), notes: [] };
}

function findByName(models: readonly Container[], pod: PodLike): Serving | Refusal {
  const candidates = models.flatMap((container) => {
    const port = choosePort(container);
    return port === null ? [] : [{ container, port: port.number }];
  });
  const transformer = candidates.find(({ container }) => container.name === 'transformer-container');
  if (transformer !== undefined) {
    const message = "KServe's transformer takes the traffic, so the agent stands before it";
    return { ...transformer, notes: [{ message }] };
  }
  const container = choose(candidates.map((one) => one.container));
  if (container !== null) {
    const port = candidates.find((one) => one.container === container)?.port ?? 0;
    const others = candidates.filter((one) => one.container !== container);
    const notes: Note[] =
      others.length === 0
        ? []
        : [
            {
              message: `took ${container.name}:${port} for the model; ${others.length} more could be: ${others
                .slice(0, 3)
                .map((one) => `${one.container.name}:${one.port}`)
                .join(', ')}`,
              remedy: 'say which one with config.morphling.io/port',
            },
          ];
    return { container, port, notes };
  }
  return findUndeclared(models, pod);
}

/** Platforms that know the port without its being declared; else the reason why there is none. */
function findUndeclared(models: readonly Container[], pod: PodLike): Serving | Refusal {
  const kserve = models.find(({ name, raw }) => name === 'kserve-container' && listAt(raw, 'ports').length === 0);
  if (kserve !== undefined) return { container: kserve, port: userPort(pod) ?? KSERVE_PORT, notes: [] };
  const kinds = models.flatMap((container) => portsOf(container).map((port) => ({ port, kind: toKind(port) })));
  const other = kinds.find(({ kind }) => kind === 'other');
  if (other !== undefined)
    return refuse(
      `port ${other.port.number} is ${OTHER_PROTOCOLS[other.port.number] ?? 'not TCP'}, not the HTTP of a model server`,
      'leave this pod out with the label morphling.io/inject: "false", or name its HTTP port with config.morphling.io/port',
    );
  if (kinds.some(({ kind }) => kind === 'grpc'))
    return refuse(
      'the model only has gRPC ports, and the agent forwards HTTP/1.1 only',
      "declare the model server's HTTP port, or name it with config.morphling.io/port",
    );
  if (kinds.some(({ kind }) => kind === 'tls'))
    return refuse(
      'the model only has TLS ports, and the agent forwards plain HTTP',
      'let the model server take plain HTTP inside the pod and declare that port',
    );
  return models.length === 0
    ? noModel()
    : refuse(
        'no container declares a port on which a model could be served',
        'declare the port under containers[].ports with the name http, or name it with config.morphling.io/port',
      );
}

/** KServe's name, then who holds a device, then the first. */
function choose(models: readonly Container[]): Container | null {
  return (
    models.find(({ name }) => name === 'kserve-container' || name === 'user-container') ??
    models.find(hasDevice) ??
    models[0] ??
    null
  );
}

/** An extended resource such as nvidia.com/gpu, or a DRA claim. */
function hasDevice({ raw }: Container): boolean {
  const limits = at(raw, 'resources', 'limits');
  const names = typeof limits === 'object' && limits !== null ? Object.keys(limits) : [];
  return (
    names.some((name) => /\/(?:gpu|mig-|xpu|npu|tpu)/i.test(name)) || listAt(raw, 'resources', 'claims').length > 0
  );
}

/** The likeliest HTTP port: by its name, else 8000 or 8080, else the first that looks like nothing else. */
function choosePort(container: Container): Port | null {
  const ports = portsOf(container).filter((port) => toKind(port) === 'http');
  return (
    ports.find(({ name }) => /^(?:http1?|http-.*|user-port|serve|rest(?:-.*)?|predict.*|openai.*)$/.test(name)) ??
    ports.find(({ number }) => number === 8000 || number === 8080) ??
    ports[0] ??
    null
  );
}

function toKind({ name, number, isTcp }: Port): PortKind {
  if (!isTcp) return 'other';
  if (/^http(?!s)/.test(name)) return 'http';
  if (OTHER_PROTOCOLS[number] !== undefined) return 'other';
  if (/(?:^|-)(?:h2c|grpc)/.test(name) || (name === '' && number === 8001)) return 'grpc';
  if (/(?:^|-)(?:https|tls)/.test(name) || (name === '' && (number === 443 || number === 8443))) return 'tls';
  const isSide =
    /(?:^|-)(?:metrics?|prom.*|usermetric|autometric|admin|queueadm|mgmt|management|health.*|probes?|debug|pprof|dashboard|gcs.*|client)(?:-|$)/;
  if (isSide.test(name) || (name === '' && number === 8002)) return 'side';
  return 'http';
}

function isTls({ raw }: Container, port: number): boolean {
  return ['readinessProbe', 'livenessProbe', 'startupProbe'].some((probe) => {
    const get = at(raw, probe, 'httpGet');
    if (textAt(get, 'scheme').toUpperCase() !== 'HTTPS') return false;
    const target = at(get, 'port');
    return (
      target === port ||
      listAt(raw, 'ports').some((one) => at(one, 'containerPort') === port && at(one, 'name') === target)
    );
  });
}

/** What Knative's queue-proxy forwards to; null where there is none. */
function userPort(pod: PodLike): number | null {
  const proxy = containersOf(pod).find(({ name }) => name === 'queue-proxy');
  const value = listAt(proxy?.raw, 'env').find((one) => at(one, 'name') === 'USER_PORT');
  const number = Number(textAt(value, 'value'));
  return Number.isInteger(number) && number > 0 && number <= 65_535 ? number : null;
}

function noModel(): Refusal {
  return refuse('every container is a sidecar of something else', 'name the model with config.morphling.io/port');
}

function refuse(reason: string, remedy: string): Refusal {
  return { kind: 'refused', reason, remedy };
}
