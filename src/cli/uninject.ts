// `morphling uninject`: takes the agent out of manifests again, the inverse filter.
import { uninjectObjects } from '../inject/filter.ts';
import type { Call, Command } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { runFilter, STREAM_OPTIONS } from './stream.ts';

export const uninjectCommand: Command = {
  name: 'uninject',
  summary: 'Take the agent out of manifests again, and send their Services back to the model.',
  positionals: '[FILE|-]',
  positionalCount: [0, 1],
  examples: [
    ['morphling uninject -f deploy.yaml | kubectl apply -f -', 'a file that was injected'],
    ['kubectl get deploy -o yaml | morphling uninject - | kubectl apply -f -', 'what runs already'],
  ],
  options: STREAM_OPTIONS,
  notes: [
    'It goes by the annotation morphling.io/status that inject left. What others have changed since stays as it is, and',
    'is named on stderr. Pods that the webhook injected have nothing to undo in their template: set the label',
    'morphling.io/inject: "false" there and roll out.',
  ].join('\n'),
  run,
};

async function run(call: Call): Promise<number> {
  const outcomes = await runFilter(call, uninjectObjects);
  if (typeof outcomes === 'string') {
    call.output.fail(outcomes);
    call.output.say('See morphling uninject --help.');
    return EXIT.usage;
  }
  if (outcomes.length === 0) call.output.say('no agent of ours in it: passed on as it came');
  return EXIT.ok;
}
