// The interface of a command: what it is called, what it takes, what it does.
import type { Output } from './output.ts';

/** One `--flag`. Boolean flags are false unless given. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  /** One letter, for `-o`. */
  readonly short?: string;
  /** Placeholder in the help: `URL`. */
  readonly value?: string;
  /** Shown in the help; applied by the parser. */
  readonly default?: string;
  /** Other values are refused with the nearest one. */
  readonly choices?: readonly string[];
  /** May be given several times: the value is a list. */
  readonly multiple?: boolean;
  /** One sentence. */
  readonly doc: string;
}

/** What was typed, taken apart, and the world the command may touch. */
export interface Call {
  /** Text options: the value or its default, undefined when neither; several with `multiple` are in `lists`. */
  readonly texts: Readonly<Record<string, string | undefined>>;
  readonly flags: ReadonlySet<string>;
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly positionals: readonly string[];
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Every command there is, for completion scripts. */
  loadCommands(): Promise<readonly Command[]>;
  /** Aborted by Ctrl-C or SIGTERM. A command that `cleansUp` must then return soon. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands; the first line of its own help. */
  readonly summary: string;
  /** What follows the name and the options in the usage line: `on|off`. */
  readonly positionals?: string;
  /** How many positionals there may be. Default [0, 0]. */
  readonly positionalCount?: readonly [min: number, max: number];
  /** The first thing the help shows: a line to type, and why one would. */
  readonly examples: readonly (readonly [line: string, why: string])[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Paragraphs after the options. */
  readonly notes?: string;
  /** True: on Ctrl-C `run` is awaited, as it has processes or files to put away. */
  readonly cleansUp?: boolean;
  /** True: the command installs its own signal handlers (the agent). */
  readonly ownsSignals?: boolean;
  /** Resolves to the exit code. Throws MorphlingError; main prints it. */
  run(call: Call): Promise<number>;
}

/** What every command takes. */
export const UNIVERSAL_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  'no-color': { type: 'boolean', doc: 'No colour; so do NO_COLOR, TERM=dumb and a pipe.' },
  help: { type: 'boolean', short: 'h', doc: 'This text.' },
};

/** `-o`, for every command that prints data. */
export const OUTPUT_OPTION: Readonly<Record<'output', OptionSpec>> = {
  output: {
    type: 'string',
    short: 'o',
    value: 'FORMAT',
    default: 'table',
    choices: ['table', 'json', 'yaml'],
    doc: 'How data is printed.',
  },
};

/** For every command that talks to an agent's control port. */
export const CONTROL_OPTIONS: Readonly<Record<'control' | 'state-dir' | 'token-file' | 'timeout', OptionSpec>> = {
  control: {
    type: 'string',
    value: 'HOST:PORT',
    doc: "The agent's control address; else MORPHLING_CONTROL, else 127.0.0.1:9465.",
  },
  'state-dir': {
    type: 'string',
    value: 'DIR',
    doc: 'Where the agent keeps its token; else MORPHLING_STATE_DIR, else /var/lib/morphling or the XDG state folder.',
  },
  'token-file': {
    type: 'string',
    value: 'FILE',
    doc: 'The bearer token for writes; else the one in the state folder.',
  },
  timeout: { type: 'string', value: 'SECONDS', default: '10', doc: 'Give up after so long (exit 4).' },
};
