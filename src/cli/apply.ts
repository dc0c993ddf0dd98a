// `morphling apply`: a person's own choice of settings.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Call, type Command } from './command.ts';
import { modelQuery, openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { formatWireSettings } from './format.ts';
import { at, textAt } from './json.ts';

export const applyCommand: Command = {
  name: 'apply',
  summary: 'Change the settings of a model, through a trial unless told otherwise.',
  examples: [
    ['morphling apply --model resnet50 --batch 16 --delay 5', 'try it on a part of the time first'],
    ['morphling apply --model resnet50 --concurrency 2 --immediate', 'at once'],
    ['morphling apply --model resnet50 --switch tensorrt=on', 'an engine switch'],
  ],
  options: {
    model: { type: 'string', value: 'NAME', doc: 'Which model; needed where there are several.' },
    batch: { type: 'string', value: 'N', doc: 'Most items in one upstream call.' },
    delay: { type: 'string', value: 'MS', doc: 'Longest wait for company, ms; 0: natural batching.' },
    concurrency: { type: 'string', value: 'N', doc: 'Upstream calls in flight.' },
    switch: { type: 'string', value: 'K=on|off', multiple: true, doc: 'An engine switch.' },
    immediate: { type: 'boolean', doc: 'Without a trial.' },
    ...CONTROL_OPTIONS,
    ...OUTPUT_OPTION,
  },
  notes: 'What is not named stays as it is. A number outside the bounds of the policy is refused, not clamped.',
  run,
};

/** By the answer's `result`; the settings beside it are those in force now. */
const RESULTS: Readonly<Record<string, string>> = {
  applied: 'in force and watched',
  trial: 'under trial, still in force',
  unchanged: 'in force already',
};

async function run(call: Call): Promise<number> {
  const settings = parseChange(call);
  if (typeof settings === 'string') {
    call.output.fail(settings);
    call.output.say('See morphling apply --help.');
    return EXIT.usage;
  }
  const query = modelQuery(call);
  const immediate = call.flags.has('immediate') ? `${query === '' ? '?' : '&'}immediate=true` : '';
  const answer = await openControl(call, true).putJson(`/v1/settings${query}${immediate}`, settings);
  call.output.data(answer, () => {
    const words = RESULTS[textAt(answer, 'result') ?? ''] ?? 'accepted';
    return `${words}: ${formatWireSettings(at(answer, 'settings'))}   (size / delay / concurrency)`;
  });
  call.output.say('Follow it with: morphling history    Undo it with: morphling rollback');
  return EXIT.ok;
}

/** The body of the PUT, or what is wrong with the command line. */
export function parseChange(call: Pick<Call, 'texts' | 'lists'>): Record<string, unknown> | string {
  const change: Record<string, unknown> = {};
  for (const [flag, key] of [
    ['batch', 'batchSize'],
    ['delay', 'batchDelayMs'],
    ['concurrency', 'concurrency'],
  ] as const) {
    const text = call.texts[flag];
    if (text === undefined) continue;
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value))
      return `--${flag}: expected a number, got ${JSON.stringify(text)}`;
    change[key] = value;
  }
  const switches: Record<string, boolean> = {};
  for (const text of call.lists['switch'] ?? []) {
    const match = /^([^=]+)=(on|off|true|false)$/.exec(text);
    if (match === null) return `--switch: expected NAME=on or NAME=off, got ${JSON.stringify(text)}`;
    switches[match[1] ?? ''] = match[2] === 'on' || match[2] === 'true';
  }
  if (Object.keys(switches).length > 0) change['switches'] = switches;
  return Object.keys(change).length === 0
    ? 'nothing to change: name --batch, --delay, --concurrency or --switch'
    : change;
}
