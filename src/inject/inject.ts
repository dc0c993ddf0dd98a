// A pod and what is wanted of it to a JSON patch: pure, so the webhook and `morphling inject` do the same.
import { formatIssue } from '../core/errors.ts';
import { AGENT_CONTAINER, createAgentContainer } from './agent-container.ts';
import { Changes } from './changes.ts';
import { chooseVisibility } from './gpu.ts';
import { type Knobs, readKnobs } from './knobs.ts';
import { chooseNative, toMinor } from './native.ts';
import { tellNeighbours } from './neighbours.ts';
import { at, containersOf, isRecord, listAt, type PodLike, portsOf, textAt, textsAt } from './pod.ts';
import { choosePorts, DATA_PORT } from './ports.ts';
import { isGuaranteed } from './qos.ts';
import type { AgentPorts, InjectionStatus, InjectOptions, InjectResult, Note, Refusal, Takeover } from './result.ts';
import { findServing, type Serving } from './serving.ts';
import { formatStamp, readStatus, STATUS_ANNOTATION } from './stamp.ts';
import { addDrain, noteBypasses, takeOver } from './takeover.ts';

/**
 * The patch that puts the agent before the model of a pod or a template. Whether anyone asked for it is `readWish`'s
 * business. Never throws for anything that JSON can hold; a second run is an empty patch.
 */
export function injectPod(pod: PodLike, options: InjectOptions): InjectResult {
  const annotations = textsAt(pod, 'metadata', 'annotations');
  const spec = at(pod, 'spec');
  if (!isRecord(spec)) return refuse('there is no pod spec', 'give it one');
  const present = findPresent(pod, annotations);
  if (present !== null) return present;
  const unfit = findUnfit(pod);
  if (unfit !== null) return unfit;

  const { knobs, issues } = readKnobs(annotations, options.defaults);
  const serving = findServing(pod, knobs.port);
  if ('kind' in serving) return serving;
  const minor = toMinor(options.kubernetesVersion);
  if (minor === null) return refuse(`${options.kubernetesVersion} is no Kubernetes version`, 'give one such as 1.33');
  const restartPolicy = textAt(spec, 'restartPolicy');
  const native = chooseNative(
    toNative(knobs, options),
    minor,
    restartPolicy === 'Never' || restartPolicy === 'OnFailure',
  );
  if ('kind' in native) return native;

  const changes = new Changes(pod);
  const { how, ports, notes: portNotes } = plan(pod, serving, knobs, options);
  const names = takeOver(changes, serving, how, ports.data);
  const drainNotes = addDrain(changes, serving, spec, minor);
  const neighbourNotes = tellNeighbours(changes, pod, serving.port, ports);
  const visibility = chooseVisibility(pod, serving.container, options);
  const volume = chooseVolume(spec);
  const { isNative } = native;
  const agent = createAgentContainer(
    { isNative, modelPort: serving.port, ports, names, knobs, visibility, volume },
    options,
  );
  changes.append(['spec', 'volumes'], { name: volume, emptyDir: {} });
  changes.append(['spec', isNative ? 'initContainers' : 'containers'], agent);
  const status = stamp(changes, pod, {
    version: options.version,
    container: AGENT_CONTAINER,
    native: isNative,
    model: { container: serving.container.name, port: serving.port },
    ports,
    gpu: visibility.kind,
    volume,
    ...(knobs['tuning-policy'] === undefined ? {} : { tuningPolicy: knobs['tuning-policy'] }),
    ...(issues.length === 0 ? {} : { invalid: issues.map(formatIssue) }),
    undo: changes.undo,
  });
  const notes = [
    ...serving.notes,
    ...portNotes,
    ...native.notes,
    ...drainNotes,
    ...neighbourNotes,
    ...visibility.notes,
    ...noteBypasses(serving),
    ...noteQos(spec, agent),
  ];
  return { kind: 'injected', patch: changes.patch, status, notes, issues };
}

/** The agent is there already: only those who came after it may have to be told. */
function findPresent(pod: PodLike, annotations: Readonly<Record<string, string>>): InjectResult | null {
  const all = [...containersOf(pod), ...containersOf(pod, 'initContainers')];
  if (!all.some(({ name }) => name === AGENT_CONTAINER)) return null;
  const status = readStatus(annotations);
  if (status === null)
    return refuse(
      `a container called ${AGENT_CONTAINER} is there, but no readable ${STATUS_ANNOTATION} of ours`,
      'remove that container, or leave this pod to it with the label morphling.io/inject: "false"',
    );
  const changes = new Changes(pod);
  const notes = tellNeighbours(changes, pod, status.model.port, status.ports);
  if (changes.patch.length === 0) return { kind: 'present', patch: [], notes };
  const values = [...status.undo.values, ...changes.undo.values];
  const next = { ...status, undo: { ...status.undo, values } };
  changes.setMember(['metadata', 'annotations'], STATUS_ANNOTATION, formatStamp(next));
  return { kind: 'present', patch: changes.patch, notes };
}

/** Pods in which an agent would do harm. */
function findUnfit(pod: PodLike): Refusal | null {
  const os = textAt(pod, 'spec', 'os', 'name') || textAt(pod, 'spec', 'nodeSelector', 'kubernetes.io/os');
  if (os === 'windows')
    return refuse('it is a Windows pod, and the agent runs on Linux', 'serve the model from a Linux node');
  if (at(pod, 'spec', 'hostNetwork') === true)
    return refuse(
      "hostNetwork: the agent's ports, the loopback control port too, would be open on the node and clash with those of the next pod there",
      'remove hostNetwork, or run `morphling agent` as a container of your own with ports chosen for that node',
    );
  return null;
}

/**
 * `declare` where the model's entry already has the agent's number in place of its own, and where another container has
 * a port of the same name: a Service would find that one before the agent's.
 */
function plan(
  pod: PodLike,
  { container, port }: Serving,
  knobs: Knobs,
  options: InjectOptions,
): { readonly how: Takeover; readonly ports: AgentPorts; readonly notes: readonly Note[] } {
  const wanted = knobs['data-port'] === undefined ? DATA_PORT : Number(knobs['data-port']);
  const own = portsOf(container).filter((one) => one.isTcp);
  const isDeclared = own.some((one) => one.number === wanted) && !own.some((one) => one.number === port);
  const others = [...containersOf(pod), ...containersOf(pod, 'initContainers')].filter(
    ({ raw }) => raw !== container.raw,
  );
  if (isDeclared) return { how: 'declare', ports: choosePorts(pod, wanted, true), notes: [] };
  const ports = choosePorts(pod, wanted);
  const names = own.filter((one) => one.number === port && one.name !== '').map(({ name }) => name);
  const isShared = others.some((other) => portsOf(other).some(({ name }) => names.includes(name)));
  const how = options.takeover ?? 'move';
  const isMissed = knobs['data-port'] !== undefined && ports.data !== wanted;
  const notes: Note[] = isMissed
    ? [
        {
          message: `port ${wanted} is declared for something else, so the agent listens on ${ports.data}`,
          remedy: 'let the model listen on another port and name that one with config.morphling.io/port',
        },
      ]
    : [];
  return { how: how === 'move' && isShared ? 'declare' : how, ports, notes };
}

/** The stamp goes last: a map that it makes has to be in the record that it carries. */
function stamp(changes: Changes, pod: PodLike, status: InjectionStatus): InjectionStatus {
  const probe = new Changes(pod);
  probe.setMember(['metadata', 'annotations'], STATUS_ANNOTATION, '');
  const { absent, nulls } = probe.undo;
  const undo = { ...status.undo, absent: [...status.undo.absent, ...absent], nulls: [...status.undo.nulls, ...nulls] };
  const whole = { ...status, undo };
  changes.setMember(['metadata', 'annotations'], STATUS_ANNOTATION, formatStamp(whole));
  return whole;
}

function toNative(knobs: Knobs, options: InjectOptions): 'auto' | 'true' | 'false' {
  const text = knobs.native ?? options.native;
  return text === 'true' || text === 'false' ? text : 'auto';
}

function chooseVolume(spec: unknown): string {
  const taken = new Set(listAt(spec, 'volumes').map((volume) => textAt(volume, 'name')));
  let name = 'morphling-state';
  for (let count = 1; taken.has(name); count++) name = `morphling-state-${count}`;
  return name;
}

function noteQos(spec: unknown, agent: unknown): Note[] {
  const isLost = isGuaranteed(spec) && !isGuaranteed({ containers: [agent] });
  return isLost
    ? [
        {
          message:
            "the pod's quality-of-service class goes from Guaranteed to Burstable, as the agent has no CPU limit",
          remedy:
            'to keep it set config.morphling.io/ cpu-request and cpu-limit to one value, and memory-request and memory-limit to another',
        },
      ]
    : [];
}

function refuse(reason: string, remedy: string): Refusal {
  return { kind: 'refused', reason, remedy };
}
