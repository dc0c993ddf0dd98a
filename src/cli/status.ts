// `morphling status`: how it stands, in one look.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { at, textAt } from './json.ts';
import { formatModels, formatTelemetry } from './model-rows.ts';
import { toSafeText, type Style } from './output.ts';

export const statusCommand: Command = {
  name: 'status',
  summary: 'Show what the agent measures and which settings are in force.',
  examples: [
    ['morphling status', 'one line a model'],
    ['morphling status -o json', 'everything, for machines'],
    ['morphling status --control 127.0.0.1:19465', 'of an injected agent, after kubectl port-forward'],
  ],
  options: { ...CONTROL_OPTIONS, ...OUTPUT_OPTION },
  async run(call) {
    const control = openControl(call);
    const [status, answer] = await Promise.all([control.getJson('/v1/status'), control.getJson('/v1/snapshot')]);
    call.output.data(status, (style) =>
      [...formatState(status, style), '', formatModels(status, style), '', ...formatTelemetry(answer)].join('\n'),
    );
    return EXIT.ok;
  },
};

/** The lines above the table: version, upstream, and what is out of the ordinary. */
export function formatState(status: unknown, style: Style): string[] {
  const facts = [
    ['', textAt(status, 'version')],
    ['before ', textAt(status, 'upstream')],
    ['mode ', textAt(status, 'mode')],
    ['decider ', textAt(status, 'decider')],
    ['engine ', textAt(status, 'engine')],
  ].flatMap(([label, fact]) => (fact === null ? [] : [`${label}${fact}`]));
  const stateProblem = textAt(status, 'stateProblem');
  const invalid = at(status, 'configInvalid');
  const unusual = [
    ...(at(status, 'isReady') === false ? ['not ready: the agent or the model server does not take traffic yet'] : []),
    ...(at(status, 'isBypass') === true ? ['bypass is on: nothing is batched or tuned'] : []),
    ...(at(status, 'isPaused') === true ? ['paused: settings stay as they are'] : []),
    ...(textAt(status, 'mind') === 'down'
      ? ['the tuner is down (it is started again): settings stay as they are']
      : []),
    ...(stateProblem === null ? [] : [`state does not reach the disk: ${stateProblem}`]),
    ...(Array.isArray(invalid) ? invalid.map((sentence) => `ignored in the configuration: ${String(sentence)}`) : []),
  ];
  return [
    style.bold(toSafeText(`morphling ${facts.join('  ')}`)),
    ...unusual.map((text) => style.yellow(toSafeText(text))),
  ];
}
