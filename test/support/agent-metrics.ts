// A page of Prometheus text as numbers, for tests that hold the agent to what it publishes.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricsReading {
  readonly samples: readonly Sample[];
  /** Sum over all series of that name whose labels hold these; null when there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number | null;
}

/** Reads what the agent, Triton, KServe and MLServer write; a line it cannot read is an error, not a gap. */
export function parsePage(text: string): MetricsReading {
  const samples = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseLine);
  return {
    samples,
    sum(name, labels = {}) {
      const found = samples.filter(
        (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
      );
      return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** Items and calls counted by `morphling_batch_size` between two readings, of one model. */
export function batchesBetween(
  before: MetricsReading,
  after: MetricsReading,
  model: string,
): { readonly calls: number; readonly items: number; readonly mean: number } {
  const delta = (name: string): number => (after.sum(name, { model }) ?? 0) - (before.sum(name, { model }) ?? 0);
  const calls = delta('morphling_batch_size_count');
  const items = delta('morphling_batch_size_sum');
  return { calls, items, mean: items / calls };
}

function parseLine(line: string): Sample {
  const match = /^(\w+)(?:\{(.*)\})? (\S+)(?: \d+)?$/.exec(line);
  if (match === null) throw new Error(`no line of a metrics page: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, name = '', value = ''] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)",?/g))
    labels[name] = value.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
  const value = match[3] === '+Inf' ? Infinity : match[3] === '-Inf' ? -Infinity : Number(match[3]);
  return { name: match[1] ?? '', labels, value };
}
