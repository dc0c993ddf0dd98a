// `morphling history`: what was changed, by whom, and what became of it.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { formatWireSettings } from './format.ts';
import { at, numberAt, recordsAt, textAt, type JsonRecord } from './json.ts';
import { formatTable, toSafeText, type Style } from './output.ts';

export const historyCommand: Command = {
  name: 'history',
  summary: 'List the changes of settings and what became of them.',
  examples: [
    ['morphling history', 'the last 20, newest first'],
    ['morphling history --model resnet50 --limit 100 -o json', 'of one model, for machines'],
  ],
  options: {
    model: { type: 'string', value: 'NAME', doc: 'Only of this model.' },
    limit: { type: 'string', value: 'N', default: '20', doc: 'At most so many.' },
    ...CONTROL_OPTIONS,
    ...OUTPUT_OPTION,
  },
  async run(call) {
    const limit = Number(call.texts['limit']);
    if (!Number.isInteger(limit) || limit < 1) {
      call.output.fail(`--limit: expected a whole number from 1, got ${call.texts['limit']}`);
      return EXIT.usage;
    }
    const model = call.texts['model'];
    const query = new URLSearchParams({ limit: String(limit), ...(model === undefined ? {} : { model }) });
    const answer = await openControl(call).getJson(`/v1/history?${query.toString()}`);
    call.output.data(answer, (style) => formatHistory(recordsAt(answer, 'entries').slice(0, limit), style));
    return EXIT.ok;
  },
};

function formatHistory(entries: readonly JsonRecord[], style: Style): string {
  if (entries.length === 0) return 'nothing has been changed yet';
  const rows = entries.map((entry) => [
    textAt(entry, 'at') ?? '-',
    toSafeText(textAt(entry, 'model') ?? '-'),
    String(numberAt(entry, 'generation') ?? '-'),
    textAt(entry, 'source') ?? '-',
    textAt(entry, 'class') ?? '-',
    colourResult(textAt(entry, 'result') ?? '-', style),
    `${formatWireSettings(at(entry, 'from'))} -> ${formatWireSettings(at(entry, 'to'))}`,
    toSafeText(textAt(entry, 'reason') ?? ''),
  ]);
  return formatTable(
    ['AT', 'MODEL', 'GEN', 'SOURCE', 'CLASS', 'RESULT', 'SIZE / DELAY / CONCURRENCY', 'REASON'],
    rows,
    style,
  );
}

function colourResult(result: string, style: Style): string {
  if (result === 'rolled_back' || result === 'refused') return style.yellow(result);
  return result === 'proven' ? style.green(result) : result;
}
