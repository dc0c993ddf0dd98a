// Command lines taken apart: node's parser, with our words for what is wrong.
import { parseArgs } from 'node:util';
import { nearestWord } from '../core/nearest.ts';
import { UNIVERSAL_OPTIONS, type Call, type Command, type OptionSpec } from './command.ts';

/** The parts of a Call that come from the command line. */
type ParsedArgs = Pick<Call, 'texts' | 'flags' | 'lists' | 'positionals'>;

/** What to do with a command line; `usage` is exit 2. */
export type ArgsResult =
  | { readonly kind: 'call'; readonly args: ParsedArgs }
  | { readonly kind: 'help' }
  | { readonly kind: 'usage'; readonly message: string };

/** Reads `argv` (after the command's name) against the command's options. */
export function parseCommandLine(command: Command, argv: readonly string[]): ArgsResult {
  const known: Readonly<Record<string, OptionSpec>> = { ...command.options, ...UNIVERSAL_OPTIONS };
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(Object.entries(known).map(([name, spec]) => [name, toParserOption(spec)])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const texts: Record<string, string> = {};
  const lists: Record<string, string[]> = {};
  const flags = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (spec === undefined) return { kind: 'usage', message: refuseOption(token.rawName, Object.keys(known)) };
    if (spec.type === 'boolean') {
      if (token.value !== undefined) return { kind: 'usage', message: `${token.rawName} takes no value` };
      flags.add(token.name);
      continue;
    }
    // `--output --help`: the parser would take the next flag for the value.
    if (token.value === undefined || (!token.inlineValue && token.value.startsWith('-') && token.value !== '-'))
      return { kind: 'usage', message: `${token.rawName} needs a value` };
    const refusal = refuseChoice(token.rawName, token.value, spec.choices);
    if (refusal !== null) return { kind: 'usage', message: refusal };
    if (spec.multiple === true) (lists[token.name] ??= []).push(token.value);
    else texts[token.name] = token.value;
  }
  if (flags.has('help')) return { kind: 'help' };
  const [min, max] = command.positionalCount ?? [0, 0];
  if (positionals.length < min) return { kind: 'usage', message: `expected ${command.positionals ?? 'an argument'}` };
  if (positionals.length > max)
    return { kind: 'usage', message: `unexpected argument ${JSON.stringify(positionals[max])}` };
  for (const [name, spec] of Object.entries(command.options))
    if (spec.default !== undefined) texts[name] ??= spec.default;
  return { kind: 'call', args: { texts, flags, lists, positionals } };
}

/** `unknown option --outptu, did you mean --output?` */
function refuseOption(raw: string, known: readonly string[]): string {
  const near = nearestWord(raw.replace(/^-+/, ''), known);
  return `unknown option ${raw}${near === null ? '' : `, did you mean --${near}?`}`;
}

function refuseChoice(raw: string, value: string, choices: readonly string[] | undefined): string | null {
  if (choices === undefined || choices.includes(value)) return null;
  const near = nearestWord(value, choices);
  const hint = near === null ? '' : `, did you mean ${near}?`;
  return `${raw}: expected one of ${choices.join(', ')}, got ${JSON.stringify(value)}${hint}`;
}

function toParserOption(spec: { readonly type: 'string' | 'boolean'; readonly short?: string }): {
  type: 'string' | 'boolean';
  short?: string;
} {
  return spec.short === undefined ? { type: spec.type } : { type: spec.type, short: spec.short };
}
