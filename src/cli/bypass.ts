// `morphling bypass on|off`: the emergency lane.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';

export const bypassCommand: Command = {
  name: 'bypass',
  summary: 'Send requests straight through, without batching, trials and limits.',
  positionals: 'on|off',
  positionalCount: [1, 1],
  examples: [
    ['morphling bypass on', 'take the agent out of the way, within 100 ms'],
    ['morphling bypass off', 'and put it back'],
  ],
  options: { ...CONTROL_OPTIONS, ...OUTPUT_OPTION },
  async run(call) {
    const [word] = call.positionals;
    if (word !== 'on' && word !== 'off') {
      call.output.fail(`expected on or off, got ${JSON.stringify(word)}`);
      return EXIT.usage;
    }
    const isOn = word === 'on';
    const answer = await openControl(call, true).postJson('/v1/bypass', { on: isOn });
    call.output.data(answer, () =>
      isOn ? 'bypass on: every request goes straight to the model server' : 'bypass off: requests are batched again',
    );
    return EXIT.ok;
  },
};
