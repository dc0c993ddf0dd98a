// `morphling check`: is everything there that the agent needs, and does it work.
import { readFileSync } from 'node:fs';
import type { AgentConfig } from '../core/agent-config.ts';
import { MorphlingError, toMessage } from '../core/errors.ts';
import { parseAgentConfig } from '../config/agent.ts';
import { formatAddress } from '../config/address.ts';
import { askAgent, checkState, checkUpstream } from './check-agent.ts';
import { checkClock, checkConfig, checkNode, checkNvidiaSmi, checkStateDir } from './check-local.ts';
import { fail, formatReport, pass, toReport, type CheckCategory, type CheckResult } from './check-report.ts';
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Call, type Command } from './command.ts';
import { openControl, readToken } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { createHttp } from './http.ts';
import { textAt } from './json.ts';

export const checkCommand: Command = {
  name: 'check',
  summary: 'Check that everything the agent needs is there and works.',
  examples: [
    ['morphling check', 'beside a running agent'],
    ['morphling check --config morphling.yaml', 'with the file it will be started with'],
    ['morphling check -o json | jq .success', 'for machines'],
  ],
  options: {
    config: { type: 'string', value: 'FILE', doc: "The agent's configuration file; also MORPHLING_CONFIG." },
    upstream: { type: 'string', value: 'URL', doc: "The model server, where it is not the configuration's." },
    ...CONTROL_OPTIONS,
    ...OUTPUT_OPTION,
  },
  notes: 'Exit 1 when a check fails (×); a warning (‼) does not fail.',
  run,
};

async function run(call: Call): Promise<number> {
  const config = readConfig(call);
  const settled = config instanceof MorphlingError ? null : config;
  const control = openControl({
    ...call,
    texts: {
      ...call.texts,
      control: call.texts['control'] ?? (settled === null ? undefined : formatAddress(settled.control)),
    },
  });
  const { answers, result: controlResult } = await askAgent(control);
  const stateDir = call.texts['state-dir'] ?? settled?.stateDir ?? '/var/lib/morphling';
  // A running agent knows best whom it asks.
  const upstream =
    call.texts['upstream'] ?? textAt(answers?.status, 'upstream') ?? settled?.upstream ?? 'http://127.0.0.1:8000';
  const http = createHttp(upstream.replace(/\/$/, ''), {
    timeoutMs: 1000 * Number(call.texts['timeout'] ?? 10),
    signal: call.signal,
  });
  const categories: CheckCategory[] = [
    { categoryName: 'runtime', checks: [...checkNode(process.versions.node, Date.now()), checkClock(Date.now())] },
    { categoryName: 'configuration', checks: [...checkConfig(config), checkStateDir(stateDir)] },
    { categoryName: 'model server', checks: await checkUpstream(http, upstream) },
    {
      categoryName: 'agent',
      checks: [controlResult, ...(answers === null ? [] : [checkToken(call), ...checkState(answers)])],
    },
    {
      categoryName: 'accelerator',
      checks: [
        await checkNvidiaSmi(
          settled?.telemetry.nvidiaSmi ?? 'nvidia-smi',
          settled?.telemetry.accelerator === 'nvidia-smi',
        ),
      ],
    },
  ];
  const report = toReport(categories);
  call.output.data(report, (style) => formatReport(report, style));
  return report.success ? EXIT.ok : EXIT.failed;
}

function checkToken(call: Call): CheckResult {
  const name = 'the token for writes can be read';
  try {
    readToken(call);
    return pass(name);
  } catch (error) {
    return fail(name, toMessage(error), 'run as the user of the agent, or give --token-file; reads work without it');
  }
}

function readConfig(call: Call): AgentConfig | MorphlingError {
  const path = call.texts['config'] ?? (call.env['MORPHLING_CONFIG'] || undefined);
  try {
    const file = path === undefined ? {} : { file: { name: path, text: readFileSync(path, 'utf8') } };
    return parseAgentConfig({ env: call.env, flags: {}, ...file });
  } catch (error) {
    return error instanceof MorphlingError
      ? error
      : new MorphlingError('BAD_CONFIG', toMessage(error), { cause: error });
  }
}
