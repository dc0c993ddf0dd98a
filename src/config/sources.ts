// Environment and flags: texts that become values by the schema of their field.
import type { Issue } from '../core/errors.ts';
import { nearestWord } from '../core/nearest.ts';
import { checkValue } from './check.ts';
import { describeSchema, describeValue, type JsonSchema, toJsonSchema } from './describe.ts';
import type { FieldTable } from './field.ts';
import type { Checked } from './tree.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
/** By flag name without dashes. A flag without a value is true. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/** Set by us for other ends than configuration; near enough to real names to look like typos of them. */
const OTHER_ENV: readonly string[] = ['MORPHLING_CONFIG', 'MORPHLING_MODEL', 'MORPHLING_POD', 'MORPHLING_NODE'];
/** What Kubernetes adds for every Service of the namespace: `MORPHLING_COORDINATOR_PORT_8090_TCP_ADDR`. */
const SERVICE_LINK = /_(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_\d+_(?:TCP|UDP).*)?)$/;

/** Reads `MORPHLING_...`. An empty value counts as not given (charts write them). A likely typo is an issue. */
export function readEnvironment(fields: FieldTable, env: Environment): Checked {
  const values: Record<string, unknown> = {};
  const issues: Issue[] = [];
  const names = new Map(Object.entries(fields).map(([key, field]) => [field.env, key]));
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('MORPHLING_') || text === undefined || text === '') continue;
    const key = names.get(name);
    if (key !== undefined) readText(fields, key, text, name, values, issues);
    else if (!OTHER_ENV.includes(name) && !SERVICE_LINK.test(name)) {
      const near = nearestWord(name, [...names.keys()]);
      if (near !== null)
        issues.push({ field: name, expected: `no such variable; did you mean ${near}?`, got: 'a value' });
    }
  }
  return { values, issues };
}

/** Reads flags that the table names; others belong to the command itself. */
export function readFlags(fields: FieldTable, flags: Flags): Checked {
  const values: Record<string, unknown> = {};
  const issues: Issue[] = [];
  for (const [key, { flag }] of Object.entries(fields)) {
    const text = flag === undefined || !Object.hasOwn(flags, flag) ? undefined : flags[flag];
    if (text !== undefined) readText(fields, key, String(text), `--${flag}`, values, issues);
  }
  return { values, issues };
}

function readText(
  fields: FieldTable,
  key: string,
  text: string,
  source: string,
  values: Record<string, unknown>,
  issues: Issue[],
): void {
  const field = fields[key];
  if (field === undefined) return;
  const schema = toJsonSchema(field.schema);
  const value = fromText(schema, text);
  if (value === undefined) {
    issues.push({ field: key, expected: describeSchema(schema), got: `${describeValue(text)} from ${source}` });
    return;
  }
  const found = checkValue(field.schema, value, key);
  for (const issue of found) issues.push({ ...issue, got: `${issue.got} from ${source}` });
  if (found.length === 0) values[key] = value;
}

/** The value a text stands for; undefined when it cannot be one of this schema. Lists: `a,b` or JSON. */
function fromText(schema: JsonSchema, text: string): unknown {
  const trimmed = text.trim();
  switch (schema.type) {
    case 'number':
    case 'integer':
      return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : undefined;
    case 'boolean':
      if (trimmed === 'true' || trimmed === '1') return true;
      return trimmed === 'false' || trimmed === '0' ? false : undefined;
    case 'array': {
      if (trimmed.startsWith('[')) return fromJson(trimmed);
      if (trimmed === '') return [];
      const items = trimmed.split(',').map((item) => fromText(schema.items ?? {}, item));
      return items.includes(undefined) ? undefined : items;
    }
    case 'object':
      return fromJson(trimmed);
    case undefined:
    default:
      return trimmed;
  }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
