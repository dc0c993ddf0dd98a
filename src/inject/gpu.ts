// How the agent sees the model's device without requesting one.
import { at, type Container, listAt, type PodLike } from './pod.ts';
import type { GpuVisibility, InjectOptions, Note } from './result.ts';

/** What it means for the agent's container. */
export interface Visibility {
  readonly kind: Exclude<GpuVisibility, 'auto'>;
  readonly env: readonly Readonly<Record<string, unknown>>[];
  /** Flags of the agent. */
  readonly args: readonly string[];
  readonly claims: readonly unknown[];
  readonly notes: readonly Note[];
}

const NONE = { env: [], args: [], claims: [], notes: [] };
const NODE_IP = { name: 'NODE_IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } };

/**
 * In the order of what is known best: the DRA claim that the model holds, shared by both containers;
 * NVIDIA_VISIBLE_DEVICES (the legacy mode of NVIDIA's runtime); the node's dcgm-exporter; the busy time of the model's
 * own calls, which every decision can work on alone.
 */
export function chooseVisibility(pod: PodLike, model: Container, options: InjectOptions): Visibility {
  const wanted = options.gpu ?? 'auto';
  const claims = listAt(pod, 'spec', 'resourceClaims').length === 0 ? [] : listAt(model.raw, 'resources', 'claims');
  if (wanted === 'dcgm') {
    const isOwnNode = options.dcgmUrl === undefined;
    return {
      ...NONE,
      kind: 'dcgm',
      env: [
        ...(isOwnNode ? [NODE_IP] : []),
        { name: 'MORPHLING_TELEMETRY_DCGM_URL', value: options.dcgmUrl ?? 'http://$(NODE_IP):9400/metrics' },
      ],
      args: ['--accelerator', 'dcgm'],
    };
  }
  if (wanted === 'legacy' || (wanted === 'auto' && claims.length === 0 && isNvidia(model))) {
    return {
      ...NONE,
      kind: 'legacy',
      // `utility` brings nvidia-smi and no more. Where the runtime ignores the variable, telemetry falls back by itself.
      env: [
        { name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' },
        { name: 'NVIDIA_DRIVER_CAPABILITIES', value: 'utility' },
      ],
    };
  }
  if (wanted !== 'inferred' && claims.length > 0) return { ...NONE, kind: 'dra', claims };
  const notes: Note[] =
    wanted === 'dra'
      ? [
          {
            message: 'the model holds no DRA claim to share, so device load is inferred from its own busy time',
            remedy: 'give the model resources.claims, or choose another way with --gpu',
          },
        ]
      : [];
  // Not asked for in so many words, the agent looks for itself and falls back to the same.
  return { ...NONE, kind: 'inferred', args: wanted === 'inferred' ? ['--accelerator', 'busy'] : [], notes };
}

function isNvidia({ raw }: Container): boolean {
  return ['limits', 'requests'].some((kind) => {
    const resources = at(raw, 'resources', kind);
    return (
      typeof resources === 'object' &&
      resources !== null &&
      Object.entries(resources).some(([name, count]) => /^nvidia\.com\/(?:gpu|mig-)/.test(name) && Number(count) > 0)
    );
  });
}
