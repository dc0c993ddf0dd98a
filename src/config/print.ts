// The field table and a configuration as people read them: --print-config, --help, the README's table.
import type { AgentConfig } from '../core/agent-config.ts';
import { toRawConfig } from './agent.ts';
import { describeSchema, toJsonSchema } from './describe.ts';
import type { Field, FieldTable } from './field.ts';
import { formatYaml } from './yaml.ts';

/** The configuration in force as a file that gives it again; what fail-open let pass stands above it as comments. */
export function toYaml(config: AgentConfig): string {
  const comments = config.invalid.map((sentence) => `# ignored: ${sentence.replaceAll(/\s+/g, ' ')}\n`);
  return `${comments.join('')}${formatYaml(toRawConfig(config))}`;
}

/** One block a field: flag, environment name, key, then the sentence with bounds and default. Only fields with a flag, unless `isFull`. */
export function toHelp(fields: FieldTable, isFull = false): string {
  const lines: string[] = [];
  for (const [key, field] of Object.entries(fields)) {
    if (field.flag === undefined && !isFull) continue;
    const isSwitch = toJsonSchema(field.schema).type === 'boolean';
    const flag = field.flag === undefined ? '' : `--${field.flag}${isSwitch ? '' : ` <${field.unit ?? 'value'}>`}`;
    lines.push(`  ${[flag, field.env, key].filter((name) => name !== '').join('  ')}`);
    lines.push(`      ${field.doc}`);
    lines.push(`      ${describeSchema(toJsonSchema(field.schema))}; default ${formatDefault(field)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** For README: key, environment and flag, what is expected, default, sentence. */
export function toMarkdownTable(fields: FieldTable): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = Object.entries(fields).map(([key, field]) => {
    const names = field.flag === undefined ? `\`${field.env}\`` : `\`${field.env}\` \`--${field.flag}\``;
    const expected = describeSchema(toJsonSchema(field.schema));
    return `| \`${key}\` | ${names} | ${cell(expected)} | \`${formatDefault(field)}\` | ${cell(field.doc)} |`;
  });
  return [
    '| key | environment, flag | expected | default | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function formatDefault({ default: value }: Field): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
