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
    const [status, snapshot] = await Promise.all([
      control.getJson('/v1/status'),
      control.getJson('/v1/snapshot').catch(() => null),
    ]);
    call.output.data({ status, snapshot }, (style) =>
      [...formatState(status, style), '', formatModels(snapshot, style), '', ...formatTelemetry(snapshot)].join('\n'),
    );
    return EXIT.ok;
  },
};

/** The lines above the table: version, upstream, and what is out of the ordinary. */
export function formatState(status: unknown, style: Style): string[] {
  const version = textAt(status, 'version');
  const upstream = textAt(status, 'upstream');
  const mode = textAt(status, 'mode') ?? textAt(status, 'policy', 'mode');
  const head = [
    'morphling',
    version,
    upstream === null ? null : `before ${upstream}`,
    mode === null ? null : `mode ${mode}`,
  ];
  const unusual = [
    ...(at(status, 'bypass') === true ? ['bypass is on: nothing is batched or tuned'] : []),
    ...(at(status, 'paused') === true ? ['paused: settings stay as they are'] : []),
  ];
  return [
    style.bold(toSafeText(head.filter((part) => part !== null).join('  '))),
    ...unusual.map((text) => style.yellow(text)),
  ];
}
