// Reads Prometheus and OpenMetrics text, tolerantly: what cannot be read is skipped, never guessed.

/** One line of a page. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** NaN and the infinities are kept: they are what the page says. */
  readonly value: number;
}

/** More samples of wanted names than this are left unread. */
const MOST_SAMPLES = 20_000;
const MOST_LABELS = 64;
const NAME = /[A-Za-z_:][\w:]*/y;
const LABEL = /\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*,?/y;

/**
 * Samples whose name `isWanted`, in the page's order. Comments, `# EOF`, timestamps and exemplars are skipped;
 * a line that does not follow the format (https://prometheus.io/docs/instrumenting/exposition_formats/) is left out.
 * Never throws. Linear in the text.
 */
export function parsePrometheusText(text: string, isWanted: (name: string) => boolean): MetricSample[] {
  const samples: MetricSample[] = [];
  let start = 0;
  while (start < text.length && samples.length < MOST_SAMPLES) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const sample = parseLine(text.slice(start, end), isWanted);
    if (sample !== null) samples.push(sample);
    start = end + 1;
  }
  return samples;
}

function parseLine(line: string, isWanted: (name: string) => boolean): MetricSample | null {
  NAME.lastIndex = 0;
  const name = NAME.exec(line)?.[0];
  if (name === undefined || !isWanted(name)) return null;
  let at = name.length;
  const labels: Record<string, string> = Object.create(null);
  if (line[at] === '{') {
    at += 1;
    for (let count = 0; count < MOST_LABELS; count++) {
      LABEL.lastIndex = at;
      const label = LABEL.exec(line);
      if (label === null) break;
      labels[label[1]!] = unescape(label[2]!);
      at = LABEL.lastIndex;
    }
    const close = /\s*\}/y;
    close.lastIndex = at;
    if (close.exec(line) === null) return null;
    at = close.lastIndex;
  }
  const value = toValue(line.slice(at).trim().split(/\s/, 1)[0]!);
  return value === null ? null : { name, labels, value };
}

function toValue(text: string): number | null {
  switch (text) {
    case 'NaN':
      return Number.NaN;
    case '+Inf':
    case 'Inf':
      return Number.POSITIVE_INFINITY;
    case '-Inf':
      return Number.NEGATIVE_INFINITY;
    default:
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : null;
  }
}

function unescape(text: string): string {
  return text.includes('\\') ? text.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)) : text;
}
