// `morphling explain`: why the tuner did what it did, or did nothing.
import { CONTROL_OPTIONS, OUTPUT_OPTION, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { formatMs, formatWireSettings } from './format.ts';
import { at, isRecord, numberAt, recordsAt, textAt, type JsonRecord } from './json.ts';
import { toSafeText, type Style } from './output.ts';

export const explainCommand: Command = {
  name: 'explain',
  summary: 'Say why the last decisions were made, with the measurements behind them.',
  examples: [
    ['morphling explain', 'the last 5 decisions'],
    ['morphling explain --model resnet50 --limit 1', 'only the last one of a model'],
  ],
  options: {
    model: { type: 'string', value: 'NAME', doc: 'Only of this model.' },
    limit: { type: 'string', value: 'N', default: '5', doc: 'At most so many.' },
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
    const answer = await openControl(call).getJson(`/v1/explain?${query.toString()}`);
    const entries = recordsAt(answer, 'explanations').slice(0, limit);
    call.output.data(answer, (style) =>
      entries.length === 0
        ? 'no decision has been made yet: the first comes an interval after the first traffic'
        : entries.map((entry) => formatExplanation(entry, style)).join('\n\n'),
    );
    return EXIT.ok;
  },
};

function formatExplanation(entry: JsonRecord, style: Style): string {
  const decision = at(entry, 'decision');
  const proposal = at(decision, 'proposal');
  const head = `${style.bold(toSafeText(textAt(entry, 'model') ?? '-'))}  ${textAt(entry, 'at') ?? ''}  ${style.cyan(textAt(entry, 'result') ?? '-')}`;
  const decider = textAt(proposal, 'decider') ?? textAt(decision, 'decider') ?? '-';
  const reason = toSafeText(textAt(proposal, 'reason') ?? textAt(decision, 'reason') ?? '-');
  const lines = [`  ${decider}: ${reason}`];
  if (proposal !== undefined) {
    lines.push(
      `  proposed ${formatWireSettings(at(proposal, 'settings'))} as a ${textAt(proposal, 'class') ?? 'change'}`,
    );
    const p99Ms = numberAt(proposal, 'predicted', 'p99Ms');
    const cost = numberAt(proposal, 'predicted', 'gpuSecondsPer1k');
    if (p99Ms !== null)
      lines.push(
        `  predicted p99 ${formatMs(p99Ms)}, ${cost === null ? '-' : cost.toFixed(2)} GPU seconds per 1,000 answers`,
      );
    const evidence = at(proposal, 'evidence');
    const facts = Object.entries(isRecord(evidence) ? evidence : {}).map(
      ([key, value]) => `${key} ${formatFact(value)}`,
    );
    if (facts.length > 0) lines.push(`  because ${toSafeText(facts.join(', '))}`);
  }
  const rule = textAt(entry, 'guarded', 'rule');
  if (rule !== null)
    lines.push(
      `  guard ${textAt(entry, 'guarded', 'kind') ?? ''} (${rule}): ${toSafeText(textAt(entry, 'guarded', 'reason') ?? '')}`,
    );
  return [head, ...lines].join('\n');
}

function formatFact(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(3);
  return typeof value === 'string' ? value : 'unknown';
}
