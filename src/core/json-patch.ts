// RFC 6902: a JSON patch as a value, and its application to a document that stays as it was.
import { MorphlingError } from './errors.ts';

/** One step. `path` and `from` are JSON pointers (RFC 6901). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };

export type JsonPatch = readonly PatchOperation[];

/** The document after all steps. Throws BAD_REQUEST with the step that cannot be done; nothing is half done then. */
export function applyPatch(document: unknown, patch: JsonPatch): unknown {
  const root = { document: structuredClone(document) };
  for (const [index, step] of patch.entries()) {
    const words = `step ${index}: ${step.op} ${step.path}`;
    switch (step.op) {
      case 'add':
        put(root, step.path, structuredClone(step.value), words);
        break;
      case 'replace':
        swap(root, step.path, structuredClone(step.value), words);
        break;
      case 'remove':
        take(root, step.path, words);
        break;
      case 'move':
        if (step.path.startsWith(`${step.from}/`)) throw refuse(words, 'a place outside of what is moved');
        put(root, step.path, take(root, step.from, words), words);
        break;
      case 'copy':
        put(root, step.path, structuredClone(get(root, step.from, words)), words);
        break;
      case 'test':
        if (!isEqualJson(get(root, step.path, words), step.value)) throw refuse(words, 'the value that is there');
        break;
    }
  }
  return root.document;
}

/** `/a~1b/0` of `['a/b', 0]`; the empty pointer is the whole document. */
export function toPointer(keys: readonly (string | number)[]): string {
  return keys.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The inverse. Throws BAD_REQUEST on text that is no pointer. */
export function fromPointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer))
    throw new MorphlingError('BAD_REQUEST', `expected a JSON pointer such as /spec/ports/0, got ${pointer}`);
  return pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Equal as JSON: the order of an object's members does not count. */
export function isEqualJson(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map<string, unknown>(Object.entries(b))];
  return (
    left.length === right.size && left.every(([key, value]) => right.has(key) && isEqualJson(value, right.get(key)))
  );
}

/** The holder of what a pointer names, and the key in it. The document itself is held by `root`. */
interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

interface Root {
  document: unknown;
}

function find(root: Root, pointer: string, words: string): Place {
  const keys = ['document', ...fromPointer(pointer)];
  let holder: unknown = root;
  for (const key of keys.slice(0, -1)) {
    if (!isHolder(holder) || !has(holder, key)) throw refuse(words, `${JSON.stringify(key)} to be there`);
    holder = read(holder, key);
  }
  if (!isHolder(holder)) throw refuse(words, 'an object or a list to put it in');
  return { holder, key: keys.at(-1) ?? '' };
}

function get(root: Root, pointer: string, words: string): unknown {
  const { holder, key } = find(root, pointer, words);
  if (!has(holder, key)) throw refuse(words, 'a value to be there');
  return read(holder, key);
}

function take(root: Root, pointer: string, words: string): unknown {
  const value = get(root, pointer, words);
  const { holder, key } = find(root, pointer, words);
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
  return value;
}

/** In place, so that the members of an object keep their order. */
function swap(root: Root, pointer: string, value: unknown, words: string): void {
  get(root, pointer, words);
  const { holder, key } = find(root, pointer, words);
  if (Array.isArray(holder)) holder[Number(key)] = value;
  else define(holder, key, value);
}

function put(root: Root, pointer: string, value: unknown, words: string): void {
  const { holder, key } = find(root, pointer, words);
  if (Array.isArray(holder)) {
    const index = key === '-' ? holder.length : toIndex(key);
    if (index === null || index > holder.length) throw refuse(words, `an index from 0 to ${holder.length} or -`);
    holder.splice(index, 0, value);
    return;
  }
  define(holder, key, value);
}

/** `__proto__` of an assignment would change the object's prototype instead of a member. */
function define(holder: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

function isHolder(value: unknown): value is Place['holder'] {
  return typeof value === 'object' && value !== null;
}

function has(holder: Place['holder'], key: string): boolean {
  if (!Array.isArray(holder)) return Object.hasOwn(holder, key);
  const index = toIndex(key);
  return index !== null && index < holder.length;
}

function read(holder: Place['holder'], key: string): unknown {
  return Array.isArray(holder) ? holder[Number(key)] : holder[key];
}

function toIndex(key: string): number | null {
  return /^(?:0|[1-9]\d{0,9})$/.test(key) ? Number(key) : null;
}

function refuse(words: string, expected: string): MorphlingError {
  return new MorphlingError('BAD_REQUEST', `JSON patch, ${words}: expected ${expected}`);
}
