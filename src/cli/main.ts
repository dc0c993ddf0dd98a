// The command line: finds the command, gives it the world, turns its end into an exit code.
import { MorphlingError, formatIssue, toMessage } from '../core/errors.ts';
import { nearestWord } from '../core/nearest.ts';
import { parseCommandLine } from './args.ts';
import type { Command } from './command.ts';
import { COMMANDS } from './commands.ts';
import { EXIT, toExitCode } from './exit-codes.ts';
import { formatCommandHelp, formatProgramHelp } from './help.ts';
import { createOutput, type Output, type OutputFormat } from './output.ts';

/** Runs `process.argv` and ends the process with the command's exit code. */
export async function main(): Promise<void> {
  // `morphling history | head` closes the pipe early: that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
  );
  const code = await runCommandLine(process.argv.slice(2));
  // Pipes are written asynchronously: the last line must be out before the process is.
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  process.exit(code);
}

/** Two signals closer than this are one: no finger is that fast. */
const ECHO_MS = 150;

async function runCommandLine(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  const noColor = argv.includes('--no-color');
  const plain = createProcessOutput('table', noColor);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const entry = COMMANDS.find((command) => command.name === rest[0]);
    if (entry !== undefined) return printHelp(await entry.load(), plain);
    // Asked for, it is data; not asked for, it is talk.
    const help = formatProgramHelp(toGroups(), plain.style);
    if (name === undefined) plain.say(help);
    else plain.print(help);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const entry = COMMANDS.find((command) => command.name === (name === '--version' || name === '-v' ? 'version' : name));
  if (entry === undefined) {
    const near = nearestWord(
      name,
      COMMANDS.map((command) => command.name),
    );
    plain.fail(
      `unknown ${name.startsWith('-') ? 'option' : 'command'} ${JSON.stringify(name)}${near === null ? '' : `, did you mean ${near}?`}`,
    );
    plain.say('See morphling --help.');
    return EXIT.usage;
  }
  const command = await entry.load();
  const parsed = parseCommandLine(command, rest);
  if (parsed.kind === 'help') return printHelp(command, plain);
  if (parsed.kind === 'usage') {
    plain.fail(parsed.message);
    plain.say(`See morphling ${command.name} --help.`);
    return EXIT.usage;
  }
  const format = toFormat(parsed.args.texts['output']);
  const toYaml = format === 'yaml' ? (await import('../config/yaml.ts')).formatYaml : undefined;
  const output = createProcessOutput(format, noColor, toYaml);
  return runWithSignals(command, output, (signal) =>
    command.run({ ...parsed.args, output, env: process.env, loadCommands, signal }),
  );
}

/**
 * The first Ctrl-C aborts `signal` and, if the command has things to put away, waits for it; the second one ends the
 * process at once.
 */
async function runWithSignals(
  command: Command,
  output: Output,
  run: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const abort = new AbortController();
  let code: number | null = null;
  let firstMs = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    const isSecond = code !== null;
    // The terminal signals a whole group: behind a wrapper that forwards it, one Ctrl-C comes twice.
    if (isSecond && performance.now() - firstMs < ECHO_MS) return;
    firstMs = performance.now();
    code = name === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    if (isSecond || command.cleansUp !== true) process.exit(code);
    abort.abort();
  };
  if (command.ownsSignals !== true) {
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  }
  try {
    const result = await run(abort.signal);
    return code ?? result;
  } catch (error) {
    if (code !== null) return code;
    return report(error, output);
  }
}

function report(error: unknown, output: Output): number {
  if (!(error instanceof MorphlingError)) {
    output.fail(toMessage(error));
    if (error instanceof Error && error.stack !== undefined && process.env['MORPHLING_DEBUG'] !== undefined)
      output.say(error.stack);
    return EXIT.failed;
  }
  output.fail(error.message);
  // Some messages name their issues already.
  const more = error.issues.map(formatIssue).filter((words) => !error.message.includes(words));
  for (const words of more) output.say(`  ${words}`);
  return toExitCode(error.code);
}

function printHelp(command: Command, output: Output): number {
  output.print(formatCommandHelp(command, output.style));
  return EXIT.ok;
}

function toGroups(): [string, typeof COMMANDS][] {
  const titles = [...new Set(COMMANDS.map((command) => command.group))];
  return titles.map((title) => [title, COMMANDS.filter((command) => command.group === title)]);
}

function createProcessOutput(format: OutputFormat, noColor: boolean, toYaml?: (value: unknown) => string): Output {
  const { stdout, stderr, env } = process;
  return createOutput({ stdout, stderr, env, format, noColor, ...(toYaml === undefined ? {} : { toYaml }) });
}

function toFormat(text: string | undefined): OutputFormat {
  return text === 'json' || text === 'yaml' ? text : 'table';
}

function loadCommands(): Promise<readonly Command[]> {
  return Promise.all(COMMANDS.map((entry) => entry.load()));
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
