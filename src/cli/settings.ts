// `morphling settings`: what is in force.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { formatNumber, toSettings } from './format.ts';
import { at, isRecord, numberAt, textAt } from './json.ts';
import { formatTable, toSafeText } from './output.ts';

export const settingsCommand: Command = {
  name: 'settings',
  summary: 'Show the settings in force for every model.',
  examples: [
    ['morphling settings', 'one line a model'],
    ['morphling settings -o yaml', 'to keep'],
  ],
  options: { ...CONTROL_OPTIONS, ...OUTPUT_OPTION },
  async run(call) {
    const answer = await openControl(call).getJson('/v1/settings');
    const models = at(answer, 'models');
    call.output.data(answer, (style) => {
      const rows = Object.entries(isRecord(models) ? models : {}).map(([name, entry]) => {
        const settings = toSettings(at(entry, 'settings'));
        const switches = Object.entries(settings?.switches ?? {}).map(([key, isOn]) => `${key}=${isOn ? 'on' : 'off'}`);
        return [
          toSafeText(name),
          String(settings?.batchSize ?? '-'),
          settings === null ? '-' : `${Number(settings.batchDelayMs.toFixed(3))} ms`,
          String(settings?.concurrency ?? '-'),
          switches.join(' ') || '-',
          formatNumber(numberAt(entry, 'generation'), 0),
          textAt(entry, 'source') ?? '-',
        ];
      });
      return rows.length === 0
        ? 'no model has been asked for yet'
        : formatTable(['MODEL', 'BATCH', 'DELAY', 'CONCURRENCY', 'SWITCHES', 'GENERATION', 'SOURCE'], rows, style);
    });
    return EXIT.ok;
  },
};
