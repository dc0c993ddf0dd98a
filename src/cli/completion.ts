// `morphling completion`: scripts that bash, zsh and fish load.
import type { Command, OptionSpec } from './command.ts';
import { UNIVERSAL_OPTIONS } from './command.ts';
import { EXIT } from './exit-codes.ts';

export const completionCommand: Command = {
  name: 'completion',
  summary: 'Print a completion script for bash, zsh or fish.',
  positionals: 'bash|zsh|fish',
  positionalCount: [1, 1],
  examples: [
    ['source <(morphling completion bash)', 'for this shell'],
    ['morphling completion zsh > "${fpath[1]}/_morphling"', 'for every zsh from now on'],
    ['morphling completion fish > ~/.config/fish/completions/morphling.fish', 'for every fish from now on'],
  ],
  options: {},
  async run(call) {
    const { output } = call;
    const [shell] = call.positionals;
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') {
      output.fail(`expected bash, zsh or fish, got ${JSON.stringify(shell)}`);
      return EXIT.usage;
    }
    const commands = await call.loadCommands();
    output.print(FORMATTERS[shell](commands));
    return EXIT.ok;
  },
};

const FORMATTERS: Readonly<Record<'bash' | 'zsh' | 'fish', (commands: readonly Command[]) => string>> = {
  bash: formatBash,
  zsh: formatZsh,
  fish: formatFish,
};

function formatBash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const words = [...optionNames(command), ...positionalWords(command)].join(' ');
    return `    ${command.name}) words='${words}' ;;`;
  });
  const values = choicesOf(commands).map(
    ([name, spec]) =>
      `    ${spellings(name, spec).join('|')}) words='${(spec.choices ?? []).join(' ')}'; COMPREPLY=($(compgen -W "$words" -- "$word")); return ;;`,
  );
  return [
    '# bash completion of morphling',
    '_morphling() {',
    '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""',
    '  COMPREPLY=()',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$word"))`,
    '    return',
    '  fi',
    '  case "$before" in',
    ...values,
    '    --*file|--config|--profile|--nvidia-smi|--state-dir) COMPREPLY=($(compgen -f -- "$word")); return ;;',
    '  esac',
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    'complete -o filenames -F _morphling morphling',
  ].join('\n');
}

function formatZsh(commands: readonly Command[]): string {
  const list = commands.map(({ name, summary }) => `    '${name}:${quote(summary)}'`);
  const cases = commands.map((command) => {
    const options = Object.entries({ ...command.options, ...UNIVERSAL_OPTIONS }).flatMap(([name, spec]) =>
      spellings(name, spec).map((spelling) => {
        const value =
          spec.type === 'boolean'
            ? ''
            : `:${name}:${spec.choices === undefined ? '_files' : `(${spec.choices.join(' ')})`}`;
        return `'${spec.multiple === true ? '*' : ''}${spelling}[${quote(firstSentence(spec.doc))}]${value}'`;
      }),
    );
    const words = positionalWords(command);
    const positional = words.length === 0 ? [] : [`'1:argument:(${words.join(' ')})'`];
    return `      ${command.name}) _arguments -s ${[...options, ...positional].join(' ')} ;;`;
  });
  return [
    '#compdef morphling',
    '_morphling() {',
    '  local -a commands',
    '  commands=(',
    ...list,
    '  )',
    '  if (( CURRENT == 2 )); then',
    "    _describe 'command' commands",
    '  else',
    '    local command="${words[2]}"',
    '    shift words',
    '    (( CURRENT-- ))',
    '    case "$command" in',
    ...cases,
    '    esac',
    '  fi',
    '}',
    '# loaded by source: register; loaded from fpath: run',
    'if [ "${funcstack[1]}" = "_morphling" ]; then _morphling "$@"; else compdef _morphling morphling; fi',
  ].join('\n');
}

function formatFish(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => {
    const inside = `-n '__fish_seen_subcommand_from ${command.name}'`;
    return [
      `complete -c morphling -n __fish_use_subcommand -f -a ${command.name} -d '${fishQuote(command.summary)}'`,
      ...Object.entries({ ...command.options, ...UNIVERSAL_OPTIONS }).map(([name, spec]) => {
        const short = spec.short === undefined ? '' : ` -s ${spec.short}`;
        const value =
          spec.type === 'boolean' ? '' : spec.choices === undefined ? ' -r' : ` -x -a '${spec.choices.join(' ')}'`;
        return `complete -c morphling ${inside} -l ${name}${short}${value} -d '${fishQuote(firstSentence(spec.doc))}'`;
      }),
      ...positionalWords(command).map((word) => `complete -c morphling ${inside} -f -a ${word}`),
    ];
  });
  return ['# fish completion of morphling', ...lines].join('\n');
}

function optionNames(command: Command): string[] {
  return Object.entries({ ...command.options, ...UNIVERSAL_OPTIONS }).flatMap(([name, spec]) => spellings(name, spec));
}

function spellings(name: string, spec: OptionSpec): string[] {
  return spec.short === undefined ? [`--${name}`] : [`--${name}`, `-${spec.short}`];
}

/** `on|off` are words; `MODEL` is not. */
function positionalWords(command: Command): string[] {
  return (command.positionals ?? '').split('|').filter((word) => /^[a-z]+$/.test(word));
}

function choicesOf(commands: readonly Command[]): [string, OptionSpec][] {
  const found = new Map<string, OptionSpec>();
  for (const { options } of commands)
    for (const [name, spec] of Object.entries(options)) if (spec.choices !== undefined) found.set(name, spec);
  return [...found];
}

function firstSentence(text: string): string {
  return text.split(/[;.[]/, 1)[0]?.trim() ?? '';
}

/** Inside '...' of zsh's _arguments and _describe. */
function quote(text: string): string {
  return text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, (char) => `\\${char}`);
}

function fishQuote(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
}
