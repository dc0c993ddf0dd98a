// `morphling agent`: validates the configuration, then becomes the supervisor.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AgentConfig } from '../core/agent-config.ts';
import { toMessage, type Issue, MorphlingError } from '../core/errors.ts';
import { AGENT_FIELDS } from '../config/agent-fields.ts';
import { parseAgentConfig } from '../config/agent.ts';
import { describeSchema, toJsonSchema } from '../config/describe.ts';
import type { Field } from '../config/field.ts';
import { toYaml } from '../config/print.ts';
import type { Call, Command, OptionSpec } from './command.ts';
import { EXIT } from './exit-codes.ts';

/** How the supervisor gets its configuration: the resolved AgentConfig as JSON. */
const CONFIG_ENV = 'MORPHLING_RESOLVED_CONFIG';

/** Its options are read off the field table, so that no flag can be missing or stale. */
export function createAgentCommand(): Command {
  return {
    name: 'agent',
    summary: 'Run the sidecar agent before a model server.',
    examples: [
      ['morphling agent', 'port 8080 before a model server on port 8000'],
      [
        'morphling agent --upstream http://127.0.0.1:8501 --mode cost --sla-p99-ms 200',
        'another server, for batch work',
      ],
      ['morphling agent --config morphling.yaml --print-config', 'check a file and see what would be in force'],
      ['MORPHLING_UPSTREAM=http://127.0.0.1:8501 morphling agent', 'the same keys as environment variables'],
    ],
    options: {
      config: {
        type: 'string',
        value: 'FILE',
        doc: 'YAML file; also MORPHLING_CONFIG. Flags win over environment, environment over the file.',
      },
      'print-config': { type: 'boolean', doc: 'Print the configuration that would be in force, and stop.' },
      ...fieldOptions(),
    },
    notes:
      'More keys are read from the file and the environment; --print-config shows them all.\nA bad configuration is reported whole and ends with exit 64 before any port is bound.',
    ownsSignals: true,
    run,
  };
}

async function run(call: Call): Promise<number> {
  const config = readConfig(call);
  for (const sentence of config.invalid) call.output.say(`ignored (fail-open): ${sentence}`);
  if (call.flags.has('print-config')) {
    call.output.print(toYaml(config).trimEnd());
    return EXIT.ok;
  }
  const isSource = import.meta.url.endsWith('.ts');
  const supervisor = new URL(`../../sidecar/supervisor.${isSource ? 'ts' : 'js'}`, import.meta.url);
  return become(fileURLToPath(supervisor), config, call);
}

/** Throws BAD_CONFIG with every bad field of file, environment and flags; never with fail-open. */
function readConfig(call: Call): AgentConfig {
  const path = call.texts['config'] ?? call.env['MORPHLING_CONFIG'];
  const flags: Record<string, string | boolean> = {};
  for (const [name, text] of Object.entries(call.texts)) if (text !== undefined) flags[name] = text;
  for (const name of call.flags) flags[name] = true;
  let file: { name: string; text: string } | undefined;
  let unread: Issue | null = null;
  if (path !== undefined && path !== '') {
    try {
      file = { name: path, text: readFileSync(path, 'utf8') };
    } catch (error) {
      unread = { field: path, expected: 'a file that can be read', got: toMessage(error) };
    }
  }
  let config: AgentConfig;
  try {
    config = parseAgentConfig({ env: call.env, flags, ...(file === undefined ? {} : { file }) });
  } catch (error) {
    if (!(error instanceof MorphlingError) || error.code !== 'BAD_CONFIG') throw error;
    throw refuse([...(unread === null ? [] : [unread]), ...error.issues]);
  }
  if (unread === null) return config;
  if (!config.failOpen) throw refuse([unread]);
  return { ...config, invalid: [...config.invalid, `${unread.field}: ${unread.got}`] };
}

function refuse(issues: readonly Issue[]): MorphlingError {
  const count = issues.length === 1 ? '1 field is' : `${issues.length} fields are`;
  return new MorphlingError('BAD_CONFIG', `configuration: ${count} not as expected`, { issues });
}

/**
 * Replaces this process by the supervisor where the platform can, so that no parent stands between the container's
 * signals and it, and nothing of the command line's memory stays. Elsewhere the supervisor runs in this process.
 */
async function become(path: string, config: AgentConfig, call: Call): Promise<number> {
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    const env = Object.fromEntries(
      Object.entries(call.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
    );
    process.execve(process.execPath, [process.execPath, ...process.execArgv, path], {
      ...env,
      [CONFIG_ENV]: JSON.stringify(config),
    });
  }
  const { runSupervisor } = await import('../../sidecar/supervisor.ts');
  return runSupervisor(config);
}

function fieldOptions(): Record<string, OptionSpec> {
  const options: Record<string, OptionSpec> = {};
  for (const field of Object.values<Field>(AGENT_FIELDS)) {
    if (field.flag === undefined) continue;
    const schema = toJsonSchema(field.schema);
    const fallback =
      field.default === undefined
        ? ''
        : `; default ${typeof field.default === 'string' ? field.default : JSON.stringify(field.default)}`;
    options[field.flag] = {
      type: schema.type === 'boolean' ? 'boolean' : 'string',
      value: (field.unit ?? 'value').toUpperCase(),
      doc: `${field.doc} [${schema.type === 'boolean' ? '' : `${describeSchema(schema)}; `}${field.env}${fallback}]`,
    };
  }
  return options;
}
