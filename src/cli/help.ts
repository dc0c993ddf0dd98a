// Help texts: examples first, then the usage line, then every option with its default.
import { UNIVERSAL_OPTIONS, type Command, type OptionSpec } from './command.ts';
import type { Style } from './output.ts';

/** One line of the list of commands. */
export interface CommandLine {
  readonly name: string;
  readonly summary: string;
}

/** Help of the whole program. */
export function formatProgramHelp(
  groups: readonly (readonly [title: string, commands: readonly CommandLine[]])[],
  style: Style,
): string {
  const width = Math.max(...groups.flatMap(([, commands]) => commands.map((command) => command.name.length)));
  const lists = groups.map(
    ([title, commands]) =>
      `${style.bold(title)}\n${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}`,
  );
  return [
    'morphling tunes batching and concurrency beside a model server, from what it measures.',
    `${style.bold('Examples')}\n${formatExamples(PROGRAM_EXAMPLES, style)}`,
    `${style.bold('Usage')}\n  morphling COMMAND [OPTIONS]`,
    ...lists,
    `morphling COMMAND --help says more. ${EXIT_LINE}`,
  ].join('\n\n');
}

/** Help of one command. */
export function formatCommandHelp(command: Command, style: Style): string {
  const usage = [`morphling ${command.name}`, '[OPTIONS]', command.positionals ?? ''].filter((part) => part !== '');
  const options = formatOptions({ ...command.options, ...UNIVERSAL_OPTIONS });
  return [
    command.summary,
    `${style.bold('Examples')}\n${formatExamples(command.examples, style)}`,
    `${style.bold('Usage')}\n  ${usage.join(' ')}`,
    `${style.bold('Options')}\n${options}`,
    ...(command.notes === undefined ? [] : [command.notes]),
    EXIT_LINE,
  ].join('\n\n');
}

const PROGRAM_EXAMPLES: Command['examples'] = [
  ['morphling demo', 'see it work in about a minute and a half, no GPU needed'],
  ['morphling agent --upstream http://127.0.0.1:8000', 'put the agent before a model server, on port 8080'],
  ['morphling check', 'find out what is wrong, with a hint each'],
  ['morphling status', 'what the agent measures and which settings are in force'],
];

/** Help is the same on every terminal, so that it can be searched and compared. */
const TEXT_WIDTH = 110;
const FLAG_WIDTH = 30;

const EXIT_LINE =
  'Exit codes: 0 ok, 1 failed, 2 usage, 3 unreachable, 4 timed out, 64 bad configuration, 130 interrupted.';

function formatExamples(examples: Command['examples'], style: Style): string {
  return examples.map(([line, why]) => `  ${style.dim(`# ${why}`)}\n  ${line}`).join('\n');
}

function formatOptions(options: Readonly<Record<string, OptionSpec>>): string {
  const rows = Object.entries(options).map(([name, spec]) => {
    const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
    const value = spec.type === 'string' ? ` ${spec.choices?.join('|') ?? spec.value ?? 'VALUE'}` : '';
    const extras = [
      spec.multiple === true ? 'may be repeated' : '',
      spec.default === undefined ? '' : `default ${spec.default}`,
    ];
    const extra = extras.filter((part) => part !== '').join('; ');
    return [`  ${short}--${name}${value}`, extra === '' ? spec.doc : `${spec.doc} (${extra})`] as const;
  });
  const width = Math.min(FLAG_WIDTH, Math.max(...rows.map(([flag]) => flag.length)));
  return rows
    .map(([flag, doc]) => {
      const lines = wrap(doc, TEXT_WIDTH - width - 2).map((line) => `${' '.repeat(width)}  ${line}`);
      const [first = '', ...rest] = lines;
      return flag.length > width
        ? [flag, ...lines].join('\n')
        : [flag.padEnd(width) + first.slice(width), ...rest].join('\n');
    })
    .join('\n');
}

/** Lines of at most `width` characters, broken at blanks. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
