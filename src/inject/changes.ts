// The patch of one pod under construction, with the record of how to undo it.
import { type PatchOperation, toPointer } from '../core/json-patch.ts';
import { at, type Container, isRecord, type PodLike, type Port } from './pod.ts';
import type { Undo } from './result.ts';

/** Collects single-path `add` and `replace` steps. Lists are appended to, never replaced. */
export class Changes {
  readonly #pod: PodLike;
  readonly #patch: PatchOperation[] = [];
  readonly #names: [string, number, string, number][] = [];
  readonly #values: [string, string, unknown, unknown][] = [];
  readonly #absent: string[] = [];
  readonly #nulls: string[] = [];
  /** Holders made by this patch: they are there for later steps, but not in the pod. */
  readonly #made = new Set<string>();
  #preStop: Undo['preStop'];

  constructor(pod: PodLike) {
    this.#pod = pod;
  }

  get patch(): readonly PatchOperation[] {
    return this.#patch;
  }

  get undo(): Undo {
    return {
      names: this.#names,
      values: this.#values,
      ...(this.#preStop === undefined ? {} : { preStop: this.#preStop }),
      absent: this.#absent,
      nulls: this.#nulls,
    };
  }

  /** At the end of a list of the pod, which is made if it is not there. */
  append(path: readonly string[], value: unknown): void {
    const pointer = toPointer(path);
    if (Array.isArray(at(this.#pod, ...path)) || this.#made.has(pointer)) {
      this.#patch.push({ op: 'add', path: `${pointer}/-`, value });
      return;
    }
    this.#make(path, [value]);
  }

  /** A member of a map of the pod, which is made if it is not there. */
  setMember(path: readonly string[], key: string, value: unknown): void {
    const map = at(this.#pod, ...path);
    if (!isRecord(map) && !this.#made.has(toPointer(path))) {
      const parent = path.slice(0, -1);
      const isParentThere = isRecord(at(this.#pod, ...parent)) || this.#made.has(toPointer(parent));
      if (isParentThere) this.#make(path, { [key]: value });
      else {
        this.#make(parent, { [path.at(-1) ?? '']: { [key]: value } });
        this.#made.add(toPointer(path));
      }
      return;
    }
    const op = isRecord(map) && Object.hasOwn(map, key) ? 'replace' : 'add';
    this.#patch.push({ op, path: toPointer([...path, key]), value });
  }

  /** A scalar within one of the pod's own containers. */
  setValue(container: Container, path: readonly (string | number)[], value: unknown): void {
    const was = at(container.raw, ...path);
    if (was === value) return;
    this.#patch.push({ op: 'replace', path: toPointer(['spec', 'containers', container.index, ...path]), value });
    this.#values.push([container.name, toPointer(path), value, was]);
  }

  /** Takes the name off a port: the `nth` entry of its number. */
  takeName(container: Container, port: Port, nth: number): void {
    const { name, ...rest } = port.raw;
    if (typeof name !== 'string' || name === '') return;
    const path = toPointer(['spec', 'containers', container.index, 'ports', port.index]);
    this.#patch.push({ op: 'replace', path, value: rest });
    this.#names.push([container.name, port.number, name, nth]);
  }

  addPreStop(container: Container, handler: unknown): void {
    const base = ['spec', 'containers', container.index, 'lifecycle'];
    const lifecycle = at(container.raw, 'lifecycle');
    const isThere = isRecord(lifecycle);
    const isNull = (isThere ? lifecycle['preStop'] : lifecycle) !== undefined;
    this.#preStop = [isThere ? 'preStop' : 'lifecycle', isNull ? 'null' : 'absent'];
    this.#patch.push(
      isThere
        ? { op: 'add', path: toPointer([...base, 'preStop']), value: handler }
        : { op: 'add', path: toPointer(base), value: { preStop: handler } },
    );
  }

  #make(path: readonly string[], value: unknown): void {
    const pointer = toPointer(path);
    const isNull = at(this.#pod, ...path) !== undefined;
    (isNull ? this.#nulls : this.#absent).push(pointer);
    this.#made.add(pointer);
    this.#patch.push({ op: isNull ? 'replace' : 'add', path: pointer, value });
  }
}
