// The agent's configuration: flags over environment over file over defaults, validated whole.
import type { AgentConfig } from '../core/agent-config.ts';
import { type Issue, MorphlingError, formatIssue } from '../core/errors.ts';
import { AGENT_FIELDS } from './agent-fields.ts';
import { formatAddress, parseAddress } from './address.ts';
import { checkAgent } from './agent-check.ts';
import { freezeDeep } from './freeze.ts';
import { checkPolicy } from './policy.ts';
import { type Environment, type Flags, readEnvironment, readFlags } from './sources.ts';
import { type Checked, type Flat, readTree, toDefaults, toFlat, toTree } from './tree.ts';
import { parseYaml } from './yaml.ts';

export interface AgentConfigSources {
  /** The text of `--config F`; `name` is what messages call it. */
  readonly file?: { readonly name: string; readonly text: string };
  /** Usually `process.env`; only `MORPHLING_...` is read. */
  readonly env: Environment;
  /** By flag name without dashes; flags that are not of the field table are ignored. */
  readonly flags: Flags;
  /** Undefined: whatever the sources say. */
  readonly failOpen?: boolean;
}

/** The host that `:port` means, per key. */
const DEFAULT_HOSTS: Readonly<Record<string, string>> = { listen: '0.0.0.0', control: '127.0.0.1', metrics: '0.0.0.0' };

/**
 * The frozen configuration. Throws BAD_CONFIG with every bad field of every source in one error. With fail-open it
 * never throws: a bad key keeps its default, a bad file counts as absent, a bad policy is the default one, and
 * `invalid` holds a sentence for each.
 */
export function parseAgentConfig(sources: AgentConfigSources): AgentConfig {
  const read = [
    readFile(sources.file),
    readEnvironment(AGENT_FIELDS, sources.env),
    readFlags(AGENT_FIELDS, sources.flags),
  ];
  const given: Flat = Object.assign({}, ...read.map(({ values }) => withoutNull(values)));
  const issues = read.flatMap(({ issues }) => issues);
  const merged: Flat = { ...toDefaults(AGENT_FIELDS), ...given };
  const isFailOpen = sources.failOpen ?? merged['failOpen'] === true;
  // Faults between fields are looked for even if single fields are bad, so that a user fixes all in one go; but
  // never against the default that stands in for a bad value: that would accuse a field that is well.
  const all = [...issues, ...checkWhole(merged, issues)];
  if (all.length === 0) return build({ ...merged, failOpen: isFailOpen }, []);
  if (!isFailOpen) {
    throw new MorphlingError('BAD_CONFIG', all.map(formatIssue).join('\n'), { issues: all });
  }
  return build({ ...repair(merged, all), failOpen: true }, all.map(formatIssue));
}

/** As it would stand in a file: addresses as text, without `invalid`. The inverse of parsing. */
export function toRawConfig(config: AgentConfig): Record<string, unknown> {
  const { invalid: _, ...rest } = config;
  const raw = {
    ...rest,
    listen: formatAddress(config.listen),
    control: formatAddress(config.control),
    metrics: formatAddress(config.metrics),
  };
  return toTree(toFlat(AGENT_FIELDS, raw));
}

function readFile(file: AgentConfigSources['file']): Checked {
  if (file === undefined) return { values: {}, issues: [] };
  const result = parseYaml(file.text, file.name);
  return result.kind === 'bad' ? { values: {}, issues: result.issues } : readTree(AGENT_FIELDS, result.value);
}

function checkWhole(flat: Flat, known: readonly Issue[] = []): Issue[] {
  const isBad = (key: string): boolean => known.some(({ field }) => isUnder(field, key));
  const good = Object.fromEntries(Object.entries(flat).filter(([key]) => !isBad(key)));
  const isPolicyGood = !known.some(({ field }) => isUnder(field, 'policy'));
  return [...checkAgent(good, DEFAULT_HOSTS), ...(isPolicyGood ? checkPolicy(toPolicyFlat(flat), 'policy') : [])];
}

/** True when an issue's field is the key itself or a part of its value. */
function isUnder(field: string, key: string): boolean {
  return field === key || field.startsWith(`${key}.`) || field.startsWith(`${key}[`);
}

/** Bad keys to their defaults; then, while ports still collide, any free port for the later one. */
function repair(merged: Flat, issues: readonly Issue[]): Flat {
  const defaults = toDefaults(AGENT_FIELDS);
  const flat: Record<string, unknown> = { ...merged };
  const reset = (found: readonly Issue[]): void => {
    const isPolicyBad = found.some(({ field }) => isUnder(field, 'policy'));
    for (const key of Object.keys(defaults)) {
      const isBad = found.some(({ field }) => isUnder(field, key));
      if (isBad || (isPolicyBad && key.startsWith('policy.'))) flat[key] = defaults[key];
    }
  };
  reset(issues);
  reset(checkWhole(flat));
  for (const { field } of checkWhole(flat)) if (field === 'control' || field === 'metrics') flat[field] = ':0';
  return flat;
}

function build(flat: Flat, invalid: readonly string[]): AgentConfig {
  const address = (key: string): unknown => parseAddress(String(flat[key]), DEFAULT_HOSTS[key] ?? '');
  const whole = { ...flat, listen: address('listen'), control: address('control'), metrics: address('metrics') };
  const tree = { ...structuredClone(toTree(whole)), invalid };
  // The field table is typed by the leaves of AgentConfig and every leaf was checked against its schema.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return freezeDeep(tree) as unknown as AgentConfig;
}

function toPolicyFlat(flat: Flat): Flat {
  const own = Object.entries(flat).filter(([key]) => key.startsWith('policy.'));
  return Object.fromEntries(own.map(([key, value]) => [key.slice('policy.'.length), value]));
}

function withoutNull(values: Flat): Flat {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
