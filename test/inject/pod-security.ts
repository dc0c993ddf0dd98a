// Pod Security Standards, level `restricted`, as rules over a pod: each violation by the container that makes it.
import { at, containersOf, isRecord, listAt, type PodLike } from '../../src/inject/pod.ts';

/** Volumes that `restricted` lets in. */
const VOLUMES = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
]);

/** `CONTAINER: rule` each; empty: the pod passes. */
export function findViolations(pod: PodLike): string[] {
  const found: string[] = [];
  const spec = at(pod, 'spec');
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) if (at(spec, key) === true) found.push(`pod: ${key}`);
  for (const volume of listAt(spec, 'volumes')) {
    if (!isRecord(volume)) continue;
    for (const kind of Object.keys(volume))
      if (kind !== 'name' && !VOLUMES.has(kind)) found.push(`pod: volume ${kind}`);
  }
  for (const sysctl of listAt(spec, 'securityContext', 'sysctls'))
    found.push(`pod: sysctl ${String(at(sysctl, 'name'))}`);
  for (const { name, raw } of [...containersOf(pod), ...containersOf(pod, 'initContainers')]) {
    const own = at(raw, 'securityContext');
    const refuse = (isBad: boolean, rule: string): void => {
      if (isBad) found.push(`${name}: ${rule}`);
    };
    const either = (...path: string[]): unknown => at(own, ...path) ?? at(spec, 'securityContext', ...path);
    refuse(at(own, 'privileged') === true, 'privileged');
    refuse(at(own, 'allowPrivilegeEscalation') !== false, 'allowPrivilegeEscalation');
    refuse(!listAt(own, 'capabilities', 'drop').includes('ALL'), 'capabilities.drop');
    refuse(
      listAt(own, 'capabilities', 'add').some((one) => one !== 'NET_BIND_SERVICE'),
      'capabilities.add',
    );
    refuse(either('runAsNonRoot') !== true, 'runAsNonRoot');
    refuse(either('runAsUser') === 0, 'runAsUser');
    refuse(!['RuntimeDefault', 'Localhost'].includes(String(either('seccompProfile', 'type'))), 'seccompProfile');
    refuse(!['Default', 'undefined'].includes(String(at(own, 'procMount'))), 'procMount');
    for (const port of listAt(raw, 'ports')) refuse((at(port, 'hostPort') ?? 0) !== 0, 'hostPort');
  }
  return found;
}
