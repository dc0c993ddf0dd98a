// What injection takes and gives: everything is a value, a pod that cannot be injected runs as it is.
import type { Issue } from '../core/errors.ts';
import type { JsonPatch } from '../core/json-patch.ts';
import type { InjectKey } from '../config/inject-fields.ts';

/** How the agent may see the device. It never requests one: that would take it from the model. */
export type GpuVisibility = 'auto' | 'dra' | 'legacy' | 'dcgm' | 'inferred';

export interface InjectOptions {
  /** Of the injector, for the default image and the stamp. */
  readonly version: string;
  /** Default `morphling:VERSION`. The annotation wins. */
  readonly image?: string;
  /** Default auto. The annotation wins. */
  readonly native?: 'auto' | 'true' | 'false';
  /** Of the cluster, such as `1.33` or `v1.35.4`. Undefined: not known, taken for a current one. */
  readonly kubernetesVersion?: string;
  /** Default auto: a DRA claim of the model, else NVIDIA_VISIBLE_DEVICES beside a model with an NVIDIA GPU, else inferred. */
  readonly gpu?: GpuVisibility;
  /** Page of the dcgm-exporter; default port 9400 of the pod's own node. Only read for `gpu: dcgm`. */
  readonly dcgmUrl?: string;
  /** Address the data and metrics ports listen on; `[::]` where the cluster has IPv6 only. Default 0.0.0.0. */
  readonly listenHost?: '0.0.0.0' | '[::]';
  /** User the agent runs as; null leaves it to the platform (OpenShift gives each namespace a range). Default 10001. */
  readonly userId?: number | null;
  /** Stands in for annotations that a pod does not have, keyed as they are after the prefix. */
  readonly defaults?: Readonly<Partial<Record<InjectKey, string>>>;
  /** How callers come to the agent. Default move. */
  readonly takeover?: Takeover;
  /**
   * False: no second name for the data port where it took over one. Needed for templates, since server-side apply
   * refuses a container that lists one number twice. Default true.
   */
  readonly hasDataAlias?: boolean;
}

/**
 * `move`: the named port goes from the model to the agent. `declare`: the model's entry keeps its name and gets the
 * agent's number, for controllers that copy the number into a Service of their own. `keep`: the model's ports stay.
 */
export type Takeover = 'move' | 'declare' | 'keep';

/** Something worth telling that stops nothing. */
export interface Note {
  readonly message: string;
  /** What to do about it; absent: nothing needs doing. */
  readonly remedy?: string;
}

export interface Refusal {
  readonly kind: 'refused';
  readonly reason: string;
  readonly remedy: string;
}

export type InjectResult =
  | {
      readonly kind: 'injected';
      readonly patch: JsonPatch;
      readonly status: InjectionStatus;
      readonly notes: readonly Note[];
      /** Annotations with bad values; their defaults are in force, and the status names them too. */
      readonly issues: readonly Issue[];
    }
  /** The agent is there. The patch is empty unless another injector has come since and has to be told of the agent. */
  | { readonly kind: 'present'; readonly patch: JsonPatch; readonly notes: readonly Note[] }
  /** Nobody asked, or the pod opted out. */
  | { readonly kind: 'skipped'; readonly reason: string }
  | Refusal;

/** Ports of one agent, numbers in the pod's network. */
export interface AgentPorts {
  readonly data: number;
  readonly metrics: number;
  /** On loopback. */
  readonly control: number;
}

/** The stamp `morphling.io/status`: what was done, and how to undo it. */
export interface InjectionStatus {
  readonly version: string;
  readonly container: string;
  readonly native: boolean;
  readonly model: { readonly container: string; readonly port: number };
  readonly ports: AgentPorts;
  readonly gpu: Exclude<GpuVisibility, 'auto'>;
  readonly volume: string;
  readonly tuningPolicy?: string;
  /** A sentence for each annotation that was not understood. */
  readonly invalid?: readonly string[];
  readonly undo: Undo;
}

/** By names, not by places: others insert containers before and after us. */
export interface Undo {
  /** Names taken from ports; `nth`: of the container's TCP entries with that number. */
  readonly names: readonly (readonly [container: string, port: number, name: string, nth: number])[];
  /** Scalars that were changed: container, JSON pointer within it, what we wrote, what was there. */
  readonly values: readonly (readonly [container: string, pointer: string, is: unknown, was: unknown])[];
  /** What was added to hold the model's `preStop`, and what was in its place. */
  readonly preStop?: readonly [added: 'lifecycle' | 'preStop', was: 'null' | 'absent'];
  /** Lists and maps of the pod that were not there. */
  readonly absent: readonly string[];
  /** Those that were null. */
  readonly nulls: readonly string[];
}
