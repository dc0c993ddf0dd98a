// Validation that names every fault at once, in words. TypeBox's own validator is the oracle of its test.
import type { TSchema } from 'typebox';
import type { Issue } from '../core/errors.ts';
import { nearestWord } from '../core/nearest.ts';
import { describeSchema, describeValue, type JsonSchema, toJsonSchema } from './describe.ts';

/** More faults than this in one document help nobody and could fill a log. */
export const MAX_ISSUES = 100;

/** Every way in which the value is not what the schema says; empty when it is. `field` is the path it stands at. */
export function checkValue(schema: TSchema, value: unknown, field = ''): Issue[] {
  const issues: Issue[] = [];
  walk(toJsonSchema(schema), value, field, issues);
  return issues.slice(0, MAX_ISSUES);
}

/** `a.b` in `sla`: `sla.a.b`; an index reads `stages[1]`. */
export function joinPath(parent: string, key: string | number): string {
  if (typeof key === 'number') return `${parent}[${key}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

/** The issue for a key that nothing reads: a setting that does nothing is the worst kind. */
export function toUnknownKeyIssue(parent: string, key: string, known: readonly string[]): Issue {
  const near = nearestWord(key, known);
  const expected =
    near !== null
      ? `no such key; did you mean ${near}?`
      : known.length === 0
        ? 'no keys'
        : `one of ${known.join(', ')}`;
  return { field: joinPath(parent, key), expected, got: describeValue(key) };
}

function walk(schema: JsonSchema, value: unknown, field: string, issues: Issue[]): void {
  if (issues.length >= MAX_ISSUES) return;
  const refuse = (): void => {
    issues.push({ field, expected: describeSchema(schema), got: describeValue(value) });
  };
  if (schema.anyOf !== undefined) {
    const isAny = schema.anyOf.some((option) => {
      const inner: Issue[] = [];
      walk(option, value, field, inner);
      return inner.length === 0;
    });
    if (!isAny) refuse();
    return;
  }
  if (schema.const !== undefined && value !== schema.const) return refuse();
  if (schema.enum !== undefined && !schema.enum.includes(value)) return refuse();
  switch (schema.type) {
    case 'integer':
    case 'number':
      if (!isNumberWithin(schema, value)) refuse();
      return;
    case 'string':
      if (!isTextWithin(schema, value)) refuse();
      return;
    case 'boolean':
      if (typeof value !== 'boolean') refuse();
      return;
    case 'null':
      if (value !== null) refuse();
      return;
    case 'array':
      if (!Array.isArray(value)) return refuse();
      if (value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? Infinity)) return refuse();
      if (schema.items !== undefined) {
        for (const [index, item] of value.entries()) walk(schema.items, item, joinPath(field, index), issues);
      }
      return;
    case 'object':
      if (!isMapping(value)) return refuse();
      walkMapping(schema, value, field, issues);
      return;
    case undefined:
      return;
  }
}

function walkMapping(schema: JsonSchema, value: Record<string, unknown>, field: string, issues: Issue[]): void {
  const properties = schema.properties ?? {};
  const known = Object.keys(properties);
  for (const name of schema.required ?? []) {
    const wanted = properties[name];
    if (Object.hasOwn(value, name) && value[name] !== undefined) continue;
    issues.push({
      field: joinPath(field, name),
      expected: wanted === undefined ? 'a value' : describeSchema(wanted),
      got: 'nothing',
    });
  }
  for (const [name, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    const wanted = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (wanted !== undefined) walk(wanted, inner, joinPath(field, name), issues);
    else if (schema.additionalProperties === false) issues.push(toUnknownKeyIssue(field, name, known));
    else if (typeof schema.additionalProperties === 'object') {
      walk(schema.additionalProperties, inner, joinPath(field, name), issues);
    }
  }
}

/** A plain object: neither null nor a list. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumberWithin(schema: JsonSchema, value: unknown): boolean {
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  if (schema.type === 'integer' && !Number.isInteger(value)) return false;
  return (
    value >= (schema.minimum ?? -Infinity) &&
    value <= (schema.maximum ?? Infinity) &&
    value > (schema.exclusiveMinimum ?? -Infinity) &&
    value < (schema.exclusiveMaximum ?? Infinity)
  );
}

function isTextWithin(schema: JsonSchema, value: unknown): boolean {
  if (typeof value !== 'string') return false;
  if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity)) return false;
  return schema.pattern === undefined || new RegExp(schema.pattern, 'u').test(value);
}
