// The annotations `config.morphling.io/…` of one pod, read against their table.
import { checkValue, toUnknownKeyIssue } from '../config/check.ts';
import { toJsonSchema } from '../config/describe.ts';
import { INJECT_FIELDS, INJECT_PREFIX, type InjectKey } from '../config/inject-fields.ts';
import { type Issue } from '../core/errors.ts';
import { toBytes, toMillicores } from './quantity.ts';

/** Texts as they were written, those that are well only. */
export type Knobs = Readonly<Partial<Record<InjectKey, string>>>;

export interface KnobsResult {
  readonly knobs: Knobs;
  readonly issues: readonly Issue[];
}

/** Below it the agent's processes do not fit, and the kernel would end them over and over. */
const LEAST_MEMORY_BYTES = 192 * 2 ** 20;

/** A bad value is left out and named: a pod starts whatever its annotations say. */
export function readKnobs(annotations: Readonly<Record<string, string>>, defaults: Knobs = {}): KnobsResult {
  const knobs: Partial<Record<InjectKey, string>> = {};
  const issues: Issue[] = [];
  const given: Record<string, string> = Object.fromEntries(
    Object.entries(defaults).map(([key, text]) => [INJECT_PREFIX + key, text]),
  );
  for (const [name, text] of Object.entries(annotations)) if (name.startsWith(INJECT_PREFIX)) given[name] = text;
  for (const [name, text] of Object.entries(given)) {
    const key = name.slice(INJECT_PREFIX.length);
    if (!isKey(key)) {
      issues.push({ ...toUnknownKeyIssue('', key, Object.keys(INJECT_FIELDS)), field: name });
      continue;
    }
    const trimmed = text.trim();
    // Charts write empty values for what is not set.
    if (trimmed === '') continue;
    const found = checkValue(INJECT_FIELDS[key].schema, toValue(key, trimmed), name);
    issues.push(...found);
    if (found.length === 0) knobs[key] = trimmed;
  }
  return { knobs, issues: [...issues, ...dropUnmatchedResources(knobs)] };
}

/** The API server refuses a request above its limit, so both go back to their defaults. */
function dropUnmatchedResources(knobs: Partial<Record<InjectKey, string>>): Issue[] {
  const issues: Issue[] = [];
  const drop = (key: InjectKey, expected: string): void => {
    issues.push({ field: INJECT_PREFIX + key, expected, got: JSON.stringify(knobs[key] ?? '') });
    delete knobs[key];
  };
  const limit = knobs['memory-limit'];
  if (limit !== undefined && toBytes(limit) < LEAST_MEMORY_BYTES) drop('memory-limit', 'at least 192Mi');
  for (const [request, limit, toNumber] of [
    ['cpu-request', 'cpu-limit', toMillicores],
    ['memory-request', 'memory-limit', toBytes],
  ] as const) {
    if (knobs[limit] !== undefined && toNumber(knobs[limit]) === 0) drop(limit, 'more than 0');
    const most = knobs[limit] ?? INJECT_FIELDS[limit].default;
    if (knobs[request] === undefined || typeof most !== 'string') continue;
    if (toNumber(knobs[request]) > toNumber(most)) drop(request, `at most the limit of ${most}`);
  }
  return issues;
}

function toValue(key: InjectKey, text: string): unknown {
  const { type } = toJsonSchema(INJECT_FIELDS[key].schema);
  const isNumber = (type === 'number' || type === 'integer') && /^\d+(?:\.\d+)?$/.test(text);
  return isNumber ? Number(text) : text;
}

function isKey(key: string): key is InjectKey {
  return Object.hasOwn(INJECT_FIELDS, key);
}
