// A stream of Kubernetes objects, YAML or JSON, that gives back untouched documents byte for byte.
import { type Document, isMap, isScalar, isSeq, parseDocument, stringify, type Tags } from 'yaml';
import { applyPatch, fromPointer, isEqualJson, type JsonPatch } from '../core/json-patch.ts';
import type { Issue } from '../core/errors.ts';

/** Manifests of a whole cluster are some megabytes; more is a mistake. */
const MAX_STREAM_BYTES = 64 * 2 ** 20;

export interface StreamDocument {
  /** The document's own text, with its `---` line if it has one. */
  readonly source: string;
  /** As plain JSON; null for an empty document. */
  readonly value: unknown;
}

export type StreamResult =
  | { readonly kind: 'documents'; readonly isJson: boolean; readonly documents: readonly StreamDocument[] }
  | { readonly kind: 'bad'; readonly issues: readonly Issue[] };

/** Reads YAML as kubectl does (version 1.1, where 0644 is octal and `on` is true). Joined, the sources are the text. */
export function parseStream(text: string, name: string): StreamResult {
  if (Buffer.byteLength(text) > MAX_STREAM_BYTES)
    return toBad(name, `at most ${MAX_STREAM_BYTES} bytes`, `${Buffer.byteLength(text)} bytes`);
  const json = parseJson(text);
  if (json !== undefined) return { kind: 'documents', isJson: true, documents: [{ source: text, value: json }] };
  const documents: StreamDocument[] = [];
  for (const source of splitDocuments(text)) {
    try {
      const document = parse(source);
      const problem = document.errors[0];
      if (problem !== undefined)
        return toBad(`${name}, document ${documents.length + 1}`, 'valid YAML', firstLine(problem.message));
      documents.push({ source, value: toPlain(document) });
    } catch (cause) {
      // Aliases that expand without end, nesting beyond the stack.
      const got = cause instanceof Error ? firstLine(cause.message) : 'a text that cannot be read';
      return toBad(`${name}, document ${documents.length + 1}`, 'valid YAML', got);
    }
  }
  return { kind: 'documents', isJson: false, documents };
}

/**
 * The patched document as YAML. Comments, order and quoting stay where the patch goes through plain YAML; where it
 * meets aliases or merge keys the document is written anew, without comments.
 */
export function patchYaml({ source, value }: StreamDocument, patch: JsonPatch): string {
  const expected = applyPatch(value, patch);
  try {
    const document = parse(source);
    for (const step of patch) applyStep(document, step);
    const text = document.toString({
      lineWidth: 0,
      // The habit of the file: `- ` under its key or indented, `{a: 1}` or `{ a: 1 }`.
      indentSeq: !/^( *)(?:- )*[^\s#-][^\n]*:[ \t]*\n\1- /m.test(source),
      flowCollectionPadding: !/[:,[-] ?\{[a-z]/i.test(source),
    });
    if (isEqualJson(toPlain(parse(text)), expected)) return text;
  } catch {
    // Written anew below.
  }
  return `${source.startsWith('---') ? '---\n' : ''}${toYamlDocument(expected)}`;
}

/** Block YAML whose texts kubectl reads as texts (`"on"`, `"0644"`). */
export function toYamlDocument(value: unknown): string {
  return stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false });
}

/** At lines that begin with `---`: YAML allows no such line inside a document. A directive belongs to what follows. */
function splitDocuments(text: string): string[] {
  const starts = [0, ...[...text.matchAll(/^---(?=[ \t\r\n]|$)/gm)].map(({ index }) => index)];
  const chunks = starts.map((start, index) => text.slice(start, starts[index + 1])).filter((chunk) => chunk !== '');
  const joined: string[] = [];
  let head = '';
  for (const chunk of chunks) {
    const isHeadOnly = /^%/m.test(chunk) && chunk.split('\n').every((line) => /^(?:[%#].*|\s*)$/.test(line));
    if (isHeadOnly) head += chunk;
    else {
      joined.push(head + chunk);
      head = '';
    }
  }
  return head === '' ? joined : [...joined, head];
}

function parse(source: string): Document.Parsed {
  return parseDocument(source, { version: '1.1', customTags: withoutTimes, stringKeys: false, logLevel: 'error' });
}

/** Go's YAML takes neither `22:22` for a number nor a bare date for anything but text. */
function withoutTimes(tags: Tags): Tags {
  return tags.filter((tag) => {
    if (typeof tag === 'string') return !['timestamp', 'intTime', 'floatTime'].includes(tag);
    return tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME';
  });
}

function toPlain(document: Document.Parsed): unknown {
  // Through JSON: sets, dates and other things of YAML 1.1 have no place in a Kubernetes object.
  const plain: unknown = document.toJS({ maxAliasCount: 1000 });
  return plain === undefined || plain === null ? null : (JSON.parse(JSON.stringify(plain)) as unknown);
}

function applyStep(document: Document.Parsed, step: JsonPatch[number]): void {
  const keys = fromPointer(step.path);
  const key = keys.at(-1) ?? '';
  const parent = keys.length <= 1 ? document.contents : document.getIn(keys.slice(0, -1), true);
  const isAdd = step.op === 'add';
  if (step.op !== 'add' && step.op !== 'replace' && step.op !== 'remove') throw new Error('not written in place');
  if (isSeq(parent)) {
    const index = key === '-' ? parent.items.length : Number(key);
    if (step.op === 'remove') parent.items.splice(index, 1);
    else parent.items.splice(index, isAdd ? 0 : 1, document.createNode(step.value));
    return;
  }
  if (!isMap(parent)) throw new Error('not written in place');
  if (step.op === 'remove') parent.delete(key);
  else if (!setScalar(parent.get(key, true), step.value)) parent.set(key, document.createNode(step.value));
}

/** A scalar for a scalar keeps the comment behind it. False: it has to be another node. */
function setScalar(node: unknown, value: unknown): boolean {
  if (!isScalar(node) || node.anchor !== undefined || typeof value === 'object') return false;
  if (typeof value !== typeof node.value) delete node.type;
  delete node.source;
  delete node.format;
  node.value = value;
  return true;
}

/** Undefined where it is not JSON. */
function parseJson(text: string): unknown {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function toBad(field: string, expected: string, got: string): StreamResult {
  return { kind: 'bad', issues: [{ field, expected, got }] };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/:$/, '') ?? '';
}
