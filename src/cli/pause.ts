// `morphling pause` and `resume`: whether the agent may change settings.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';

export const pauseCommand: Command = {
  name: 'pause',
  summary: 'Stop changing settings; traffic goes on under those in force.',
  examples: [['morphling pause', 'before a maintenance window or an experiment of your own']],
  options: { ...CONTROL_OPTIONS, ...OUTPUT_OPTION },
  async run(call) {
    const answer = await openControl(call, true).postJson('/v1/pause');
    call.output.data(answer, () => 'paused: settings stay as they are');
    call.output.say('Resume with: morphling resume');
    return EXIT.ok;
  },
};

export const resumeCommand: Command = {
  name: 'resume',
  summary: 'Let the agent change settings again.',
  examples: [['morphling resume', 'after morphling pause']],
  options: { ...CONTROL_OPTIONS, ...OUTPUT_OPTION },
  async run(call) {
    const answer = await openControl(call, true).postJson('/v1/resume');
    call.output.data(answer, () => 'resumed: the agent tunes again');
    return EXIT.ok;
  },
};
