// Kubernetes' Guaranteed class, which pins cores on nodes with a static CPU manager: adding a container may cost it.
import { at, containersOf, type PodLike } from './pod.ts';
import { toBytes, toMillicores } from './quantity.ts';

/** Every container has limits for both, and requests that are equal or left out. */
export function isGuaranteed(spec: unknown): boolean {
  const pod: PodLike = { spec };
  const containers = [...containersOf(pod), ...containersOf(pod, 'initContainers')];
  return (
    containers.length > 0 &&
    containers.every(({ raw }) =>
      (['cpu', 'memory'] as const).every((resource) => {
        const toNumber = resource === 'cpu' ? toMillicores : toBytes;
        const limit = at(raw, 'resources', 'limits', resource);
        const request = at(raw, 'resources', 'requests', resource) ?? limit;
        return limit !== undefined && limit !== null && toNumber(toText(limit)) === toNumber(toText(request));
      }),
    )
  );
}

/** A quantity may be written as a number. */
function toText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
