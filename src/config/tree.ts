// Between a nested document and a flat table of dotted keys.
import { type TSchema, Type } from 'typebox';
import type { Issue } from '../core/errors.ts';
import { checkValue, isMapping, joinPath, MAX_ISSUES, toUnknownKeyIssue } from './check.ts';
import { describeValue } from './describe.ts';
import type { Field, FieldTable } from './field.ts';

/** Values by dotted key; a key that is not there was not given. `null` = taken back to the default. */
export type Flat = Readonly<Record<string, unknown>>;

export interface Checked {
  /** Only values that passed. */
  readonly values: Flat;
  readonly issues: readonly Issue[];
}

/**
 * Reads a nested document (from a file or a request body) against the table: good leaves come back flat, every
 * bad leaf and unknown key as an issue. A `null` leaf means "back to the default" (RFC 7396 reads it so too).
 */
export function readTree(fields: FieldTable, document: unknown): Checked {
  const values: Record<string, unknown> = {};
  const issues: Issue[] = [];
  const descend = (node: unknown, path: string): void => {
    if (!isMapping(node)) {
      issues.push({ field: path, expected: 'a mapping', got: describeValue(node) });
      return;
    }
    const known = childNames(fields, path);
    for (const [name, value] of Object.entries(node)) {
      if (issues.length >= MAX_ISSUES) return;
      const key = joinPath(path, name);
      const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (field !== undefined) {
        const found = value === null ? [] : checkValue(field.schema, value, key);
        issues.push(...found);
        if (found.length === 0) values[key] = value;
      } else if (!known.includes(name)) issues.push(toUnknownKeyIssue(path, name, known));
      else if (value === null) for (const leaf of leavesUnder(fields, key)) values[leaf] = null;
      else descend(value, key);
    }
  };
  if (document !== null && document !== undefined) descend(document, '');
  return { values, issues };
}

/** Nested again; keys whose value is undefined or null are left out. */
export function toTree(flat: Flat): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(flat)) {
    if (value === undefined || value === null) continue;
    const names = key.split('.');
    const leaf = names.pop() ?? key;
    let node = root;
    for (const name of names) {
      const next = node[name];
      const child: Record<string, unknown> = isMapping(next) ? next : {};
      node[name] = child;
      node = child;
    }
    node[leaf] = value;
  }
  return root;
}

/** The leaves of a nested object that the table names; absent ones are left out. */
export function toFlat(fields: FieldTable, tree: unknown): Flat {
  const flat: Record<string, unknown> = {};
  for (const key of Object.keys(fields)) {
    let node: unknown = tree;
    for (const name of key.split('.')) node = isMapping(node) && Object.hasOwn(node, name) ? node[name] : undefined;
    if (node !== undefined) flat[key] = node;
  }
  return flat;
}

/** The default of every field. */
export function toDefaults(fields: FieldTable): Flat {
  return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.default]));
}

/**
 * One JSON schema of the whole document, with every sentence and default in it. `isPartial` marks every key as
 * optional, for files and merges; otherwise a key with a default is required, as it is in an answer.
 */
export function toSchema(fields: FieldTable, isPartial: boolean, path = ''): TSchema {
  const properties: Record<string, TSchema> = {};
  for (const name of childNames(fields, path)) {
    const key = joinPath(path, name);
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    const inner = field === undefined ? toSchema(fields, isPartial, key) : toLeafSchema(field);
    const isOptional = isPartial || leavesUnder(fields, key).every((leaf) => fields[leaf]?.default === undefined);
    properties[name] = isOptional ? Type.Optional(inner) : inner;
  }
  return Type.Object(properties, { additionalProperties: false });
}

function toLeafSchema({ schema, doc, default: value }: Field): TSchema {
  return Type.Unsafe({ ...schema, description: doc, ...(value === undefined ? {} : { default: value }) });
}

function childNames(fields: FieldTable, path: string): string[] {
  const prefix = path === '' ? '' : `${path}.`;
  const keys = Object.keys(fields).filter((key) => key.startsWith(prefix));
  return [...new Set(keys.map((key) => key.slice(prefix.length).split('.')[0] ?? ''))];
}

function leavesUnder(fields: FieldTable, key: string): string[] {
  return Object.keys(fields).filter((leaf) => leaf === key || leaf.startsWith(`${key}.`));
}
