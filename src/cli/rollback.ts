// `morphling rollback`: back to what was good.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { modelQuery, openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { formatWireSettings } from './format.ts';
import { at } from './json.ts';

export const rollbackCommand: Command = {
  name: 'rollback',
  summary: 'Go back to the last settings that were good.',
  examples: [
    ['morphling rollback', 'where the agent serves one model'],
    ['morphling rollback --model resnet50', 'where it serves several'],
  ],
  options: {
    model: { type: 'string', value: 'NAME', doc: 'Which model; needed where there are several.' },
    ...CONTROL_OPTIONS,
    ...OUTPUT_OPTION,
  },
  async run(call) {
    const answer = await openControl(call, true).postJson(`/v1/rollback${modelQuery(call)}`);
    call.output.data(answer, () => `rolled back to ${formatWireSettings(at(answer, 'settings'))}`);
    call.output.say('See what happened with: morphling history');
    return EXIT.ok;
  },
};
