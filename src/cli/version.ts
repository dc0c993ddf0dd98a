// `morphling version`: of this program, and of the agent if one answers.
import { readFileSync } from 'node:fs';
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { textAt } from './json.ts';
import { toSafeText } from './output.ts';

export const versionCommand: Command = {
  name: 'version',
  summary: 'Print the version, and that of the agent if one answers.',
  examples: [
    ['morphling version', 'both'],
    ['morphling version --client', 'only this program, without asking anyone'],
  ],
  options: {
    client: { type: 'boolean', doc: 'Only of this program.' },
    ...CONTROL_OPTIONS,
    timeout: { ...CONTROL_OPTIONS.timeout, default: '1' },
    ...OUTPUT_OPTION,
  },
  async run(call) {
    const client = readVersion();
    let agent: string | null = null;
    if (!call.flags.has('client')) {
      try {
        agent = textAt(await openControl(call).getJson('/v1/status'), 'version');
      } catch {
        // No agent here is the usual case on a laptop; `morphling check` says why.
      }
    }
    call.output.data({ client, agent, node: process.version }, () =>
      [
        `client  ${client}`,
        ...(call.flags.has('client') ? [] : [`agent   ${agent === null ? 'none answers' : toSafeText(agent)}`]),
        `node    ${process.version}`,
      ].join('\n'),
    );
    return EXIT.ok;
  },
};

/** Of package.json, which lies at the root of the clone and of the package alike. */
export function readVersion(): string {
  const isSource = import.meta.url.endsWith('.ts');
  const file = new URL(isSource ? '../../package.json' : '../../../package.json', import.meta.url);
  return textAt(JSON.parse(readFileSync(file, 'utf8')), 'version') ?? 'unknown';
}
