// Latency profiles: measured batch latencies of a model on a device, and the curve drawn through them.
import { MorphlingError } from '../../src/core/errors.ts';

/** One measured point of a curve. */
export interface CurvePoint {
  /** Items in the batch, >= 1. */
  readonly items: number;
  /** Mean latency of such a batch alone on the device, ms, > 0. */
  readonly latencyMs: number;
}

/** One model on one device in one precision under one framework. */
export interface Profile {
  /** `model|gpu|precision|framework`, the value of `--profile-id`. */
  readonly id: string;
  readonly model: string;
  readonly gpu: string;
  readonly precision: string;
  readonly framework: string;
  /** By items, ascending, no two alike. */
  readonly points: readonly CurvePoint[];
}

/** Latency as a function of the batch, and what follows from it. */
export interface LatencyCurve {
  /** L(items): a batch alone on the device, ms. */
  latencyMs(items: number): number;
  /** Most items per ms over whole batch sizes 1..64. */
  readonly peakItemsPerMs: number;
  /** The smallest batch size in 1..64 that reaches the peak. */
  readonly peakItems: number;
  /** d(items) = items / L(items) / peak: the share of the device that one batch can use, in (0, 1]. */
  demand(items: number): number;
}

/** The peak is looked for up to here: the upper bound of the batch size setting. */
const PEAK_ITEMS_MAX = 64;
const COLUMNS = ['model', 'gpu', 'precision', 'framework', 'batch', 'latency_ms'] as const;

/**
 * Reads a profile file: a header naming at least model, gpu, precision, framework, batch, latency_ms in any order;
 * further columns are passed over. Every bad line is named in one BAD_CONFIG error.
 */
export function parseProfiles(csvText: string): readonly Profile[] {
  const lines = csvText.replace(/^\uFEFF/, '').split(/\r?\n/);
  const header = (lines[0] ?? '').split(',').map((name) => name.trim());
  const missing = COLUMNS.filter((name) => !header.includes(name));
  if (missing.length > 0)
    throw new MorphlingError(
      'BAD_CONFIG',
      `profile file: expected the columns ${COLUMNS.join(', ')}, missing ${missing.join(', ')}`,
    );

  const issues: { field: string; expected: string; got: string }[] = [];
  const rows = new Map<string, { readonly names: readonly string[]; readonly points: Map<number, number> }>();
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue;
    const cells = line.split(',').map((cell) => cell.trim());
    const cell = (column: (typeof COLUMNS)[number]): string => cells[header.indexOf(column)] ?? '';
    const items = Number(cell('batch'));
    const latencyMs = Number(cell('latency_ms'));
    const field = `line ${index + 1}`;
    if (cells.length !== header.length)
      issues.push({ field, expected: `${header.length} cells`, got: String(cells.length) });
    else if (!Number.isInteger(items) || items < 1)
      issues.push({ field, expected: 'a whole batch >= 1', got: cell('batch') });
    else if (!(latencyMs > 0) || !Number.isFinite(latencyMs))
      issues.push({ field, expected: 'a latency_ms above 0', got: cell('latency_ms') });
    else {
      const names = [cell('model'), cell('gpu'), cell('precision'), cell('framework')];
      const id = names.join('|');
      const row = rows.get(id) ?? { names, points: new Map<number, number>() };
      if (row.points.has(items)) issues.push({ field, expected: `batch ${items} of ${id} once`, got: 'twice' });
      row.points.set(items, latencyMs);
      rows.set(id, row);
    }
  }
  if (issues.length === 0 && rows.size === 0) issues.push({ field: 'line 2', expected: 'a profile', got: 'nothing' });
  if (issues.length > 0) {
    const words = issues.slice(0, 5).map((issue) => `${issue.field}: expected ${issue.expected}, got ${issue.got}`);
    throw new MorphlingError('BAD_CONFIG', `profile file: ${words.join('; ')}`, { issues });
  }
  return [...rows].map(([id, { names, points }]) => ({
    id,
    model: names[0] ?? '',
    gpu: names[1] ?? '',
    precision: names[2] ?? '',
    framework: names[3] ?? '',
    points: [...points].map(([items, latencyMs]) => ({ items, latencyMs })).sort((a, b) => a.items - b.items),
  }));
}

/** The profile of that id, case and blanks aside; NOT_FOUND names the nearest ids. */
export function findProfile(profiles: readonly Profile[], id: string): Profile {
  const wanted = toWords(id);
  const exact = profiles.find((profile) => toWords(profile.id).join('|') === wanted.join('|'));
  if (exact !== undefined) return exact;
  const near = profiles
    .map((profile) => ({ id: profile.id, distance: toDistance(wanted, toWords(profile.id)) }))
    .sort((a, b) => a.distance - b.distance || a.id.localeCompare(b.id))
    .slice(0, 3)
    .map((candidate) => `'${candidate.id}'`);
  const hint = near.length === 0 ? 'the file holds none' : `nearest: ${near.join(', ')}`;
  throw new MorphlingError('NOT_FOUND', `no profile '${id}' (expected 'model|gpu|precision|framework'); ${hint}`);
}

/**
 * The curve through measured points: log-log interpolation between them, the slope of the last two above the table,
 * the first point's latency below it. One point alone is drawn flat. Whole sizes to 64 are tabulated, so asking is cheap.
 */
export function createCurve(points: readonly CurvePoint[]): LatencyCurve {
  if (points.length === 0) throw new MorphlingError('BAD_CONFIG', 'a latency curve needs at least one point');
  const sorted = [...points].sort((a, b) => a.items - b.items);
  const table = new Float64Array(PEAK_ITEMS_MAX + 1);
  let peakItemsPerMs = 0;
  let peakItems = 1;
  for (let items = 1; items <= PEAK_ITEMS_MAX; items++) {
    const latencyMs = interpolate(sorted, items);
    table[items] = latencyMs;
    if (items / latencyMs <= peakItemsPerMs) continue;
    peakItemsPerMs = items / latencyMs;
    peakItems = items;
  }
  const latencyMs = (items: number): number =>
    (Number.isInteger(items) ? table[items] : undefined) || interpolate(sorted, items);
  return {
    latencyMs,
    peakItemsPerMs,
    peakItems,
    // Above 64 items a batch may beat the peak; it still cannot use more than the whole device.
    demand: (items) => Math.min(1, items / latencyMs(items) / peakItemsPerMs),
  };
}

function interpolate(points: readonly CurvePoint[], items: number): number {
  const first = points[0]!;
  if (points.length === 1 || items <= first.items) return first.latencyMs;
  let upper = 1;
  while (upper < points.length - 1 && points[upper]!.items < items) upper++;
  const a = points[upper - 1]!;
  const b = points[upper]!;
  const slope = Math.log(b.latencyMs / a.latencyMs) / Math.log(b.items / a.items);
  return a.latencyMs * (items / a.items) ** slope;
}

function toWords(id: string): readonly string[] {
  return id.split('|').map((word) => word.trim().toLowerCase());
}

/** Edits per part, so that a right model on a wrong device ranks before a wrong model. */
function toDistance(wanted: readonly string[], known: readonly string[]): number {
  let distance = 0;
  for (const [index, word] of known.entries()) {
    const asked = wanted[index] ?? '';
    const isInside = asked.length > 2 && word.includes(asked);
    distance += (isInside ? 0.5 : toEdits(asked, word)) * (index === 0 ? 2 : 1);
  }
  return distance;
}

/** Levenshtein distance with one row of memory. */
function toEdits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
