// The one place that writes to the terminal: data to stdout, talk to stderr, colour only where eyes are.

/** How data is printed. */
export type OutputFormat = 'table' | 'json' | 'yaml';

/** Marks of a check, in linkerd's three symbols. */
type Mark = 'ok' | 'warning' | 'error';

/** Turns text into coloured text, or leaves it alone. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
  cyan(text: string): string;
  /** A coloured symbol: √, ‼ or ×. */
  mark(mark: Mark): string;
}

/** One end of a pipe or a terminal; `process.stdout` fits. */
interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface Output {
  readonly format: OutputFormat;
  /** Style of stdout. */
  readonly style: Style;
  /** True: stdout is a terminal that can redraw (a TTY, and TERM is not dumb). */
  readonly isLive: boolean;
  /** Width of the terminal in characters; 100 where there is none. */
  readonly columns: number;
  readonly rows: number;
  /** Text to stdout; a newline is added. */
  print(text: string): void;
  /** Text to stdout as it is, for a live frame. */
  write(text: string): void;
  /** Text for people to stderr; a newline is added. */
  say(text: string): void;
  /** `error: …` in red to stderr. */
  fail(text: string): void;
  /** Data in the format asked for; `toTable` makes the text of the table form. */
  data(value: unknown, toTable: (style: Style) => string): void;
}

export interface OutputOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly format?: OutputFormat;
  readonly noColor?: boolean;
  /** Needed for the format yaml; handed in so that the YAML library is only loaded then. */
  readonly toYaml?: (value: unknown) => string;
}

/** The output of one call of the program. NO_COLOR (any text), TERM=dumb, `--no-color` and a pipe all mean plain. */
export function createOutput(options: OutputOptions): Output {
  const { stdout, stderr, env, format = 'table' } = options;
  const isPlain = options.noColor === true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  const style = createStyle(!isPlain && stdout.isTTY === true);
  const errorStyle = createStyle(!isPlain && stderr.isTTY === true);
  return {
    format,
    style,
    isLive: stdout.isTTY === true && env['TERM'] !== 'dumb',
    columns: stdout.columns ?? 100,
    rows: stdout.rows ?? 40,
    print: (text) => void stdout.write(`${text}\n`),
    write: (text) => void stdout.write(text),
    say: (text) => void stderr.write(`${text}\n`),
    fail: (text) => void stderr.write(`${errorStyle.red('error:')} ${text}\n`),
    data(value, toTable) {
      if (format === 'json') stdout.write(`${JSON.stringify(value, null, 2)}\n`);
      else if (format === 'yaml' && options.toYaml !== undefined) stdout.write(options.toYaml(value));
      else stdout.write(`${toTable(style).trimEnd()}\n`);
    },
  };
}

/** Columns padded to their widest cell, header dim. Numbers (and `-`) are right-aligned. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[], style: Style): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => visibleLength(row[column] ?? ''))));
  const isNumeric = header.map((_, column) =>
    rows.every((row) => /^[-+<>]?[\d.,]*( ?(%|ms|s|x|\/s))?$|^-$/.test(strip(row[column] ?? ''))),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const pad = ' '.repeat((widths[column] ?? 0) - visibleLength(cell));
        return isNumeric[column] === true ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd();
  return [style.dim(line(header)), ...rows.map(line)].join('\n');
}

/** Control characters of foreign text (a model's name, a server's answer) made harmless for a terminal. */
export function toSafeText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it is for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD');
}

function createStyle(isColour: boolean): Style {
  const paint = (open: number, close: number) => (text: string) =>
    isColour ? `\u001B[${open}m${text}\u001B[${close}m` : text;
  const [bold, dim] = [paint(1, 22), paint(2, 22)];
  const [red, green, yellow, cyan] = [paint(31, 39), paint(32, 39), paint(33, 39), paint(36, 39)];
  const marks: Readonly<Record<Mark, string>> = {
    ok: bold(green('\u221A')),
    warning: bold(yellow('\u203C')),
    error: bold(red('\u00D7')),
  };
  return { bold, dim, red, green, yellow, cyan, mark: (mark) => marks[mark] };
}

function strip(text: string): string {
  // oxlint-disable-next-line no-control-regex -- colour codes are what it is for
  return text.replaceAll(/\u001B\[\d+m/g, '');
}

function visibleLength(text: string): number {
  return Array.from(strip(text)).length;
}
