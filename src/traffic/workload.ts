// The workload grammar: one short string a person types, one value the generators read.
import type { Issue } from '../core/errors.ts';

/** A rate as it was written: requests per second, or a share of the engine's peak. */
export type Rate =
  | { readonly kind: 'perS'; readonly perS: number }
  | { readonly kind: 'ofPeak'; readonly ratio: number };

/** A load over time. All times are seconds as written; see `toLoad` for how a request count stretches them. */
export type Workload =
  | { readonly kind: 'constant'; readonly rate: Rate }
  | { readonly kind: 'poisson'; readonly rate: Rate }
  | { readonly kind: 'steps'; readonly steps: readonly { readonly rate: Rate; readonly atS: number }[] }
  | { readonly kind: 'ramp'; readonly from: Rate; readonly to: Rate }
  | { readonly kind: 'sine'; readonly low: Rate; readonly high: Rate; readonly periodS: number }
  | {
      readonly kind: 'burst';
      readonly low: Rate;
      readonly high: Rate;
      readonly meanOnS: number;
      readonly meanOffS: number;
    }
  | {
      readonly kind: 'flash';
      readonly base: Rate;
      readonly peak: Rate;
      readonly atS: number;
      readonly lengthS: number;
    };

/** How each kind is written; the text of every refusal and of `--help`. */
export const WORKLOAD_FORMS: Readonly<Record<Workload['kind'], string>> = {
  constant: 'constant:R',
  poisson: 'poisson:R',
  steps: 'steps:R1@T1,R2@T2,...',
  ramp: 'ramp:R1..R2',
  sine: 'sine:LOW..HIGH/PERIOD_S',
  burst: 'burst:LOW/HIGH/MEAN_ON_S/MEAN_OFF_S',
  flash: 'flash:BASE/PEAK@T/LENGTH_S',
};

/**
 * Reads `steps:40%@0,90%@60` and its sisters. R is requests per second or `50%` of the peak; T are seconds.
 * A bad one gives an `Issue` that names the part and the form, never an exception.
 */
export function parseWorkload(text: string): Workload | Issue {
  const colon = text.indexOf(':');
  const kind = colon < 0 ? text : text.slice(0, colon);
  if (!isKind(kind)) return refuse(`one of ${Object.values(WORKLOAD_FORMS).join(' ')}`, text);
  const body = colon < 0 ? '' : text.slice(colon + 1);
  const parsed = PARSERS[kind](body);
  return parsed ?? refuse(`${WORKLOAD_FORMS[kind]} (${HINTS[kind]})`, text);
}

export function isIssue(parsed: Workload | Issue): parsed is Issue {
  return 'expected' in parsed;
}

/** The canonical text; `parseWorkload(formatWorkload(w))` is `w`. */
export function formatWorkload(workload: Workload): string {
  switch (workload.kind) {
    case 'constant':
    case 'poisson':
      return `${workload.kind}:${formatRate(workload.rate)}`;
    case 'steps':
      return `steps:${workload.steps.map((step) => `${formatRate(step.rate)}@${step.atS}`).join(',')}`;
    case 'ramp':
      return `ramp:${formatRate(workload.from)}..${formatRate(workload.to)}`;
    case 'sine':
      return `sine:${formatRate(workload.low)}..${formatRate(workload.high)}/${workload.periodS}`;
    case 'burst':
      return `burst:${formatRate(workload.low)}/${formatRate(workload.high)}/${workload.meanOnS}/${workload.meanOffS}`;
    case 'flash':
      return `flash:${formatRate(workload.base)}/${formatRate(workload.peak)}@${workload.atS}/${workload.lengthS}`;
  }
}

const RATE_HINT = 'R in requests per second above 0, or a share of the peak such as 50%';
const HINTS: Readonly<Record<Workload['kind'], string>> = {
  constant: RATE_HINT,
  poisson: RATE_HINT,
  steps: `${RATE_HINT}; times in seconds, rising, the first 0`,
  ramp: `${RATE_HINT}; 0 is allowed at one end`,
  sine: 'LOW not above HIGH, the period in seconds above 0',
  burst: 'LOW not above HIGH, the mean times in seconds above 0',
  flash: 'T and the length in seconds above 0, PEAK above 0',
};

const PARSERS: Readonly<Record<Workload['kind'], (body: string) => Workload | null>> = {
  constant: (body) => parseSteady('constant', body),
  poisson: (body) => parseSteady('poisson', body),
  steps: parseSteps,
  ramp: parseRamp,
  sine: parseSine,
  burst: parseBurst,
  flash: parseFlash,
};

function parseSteady(kind: 'constant' | 'poisson', body: string): Workload | null {
  const rate = parseRate(body);
  return rate === null || isZero(rate) ? null : { kind, rate };
}

function parseSteps(body: string): Workload | null {
  const steps: { rate: Rate; atS: number }[] = [];
  for (const part of body.split(',')) {
    const [rateText, atText, ...rest] = part.split('@');
    const rate = parseRate(rateText);
    const atS = parseNumber(atText);
    if (rate === null || atS === null || rest.length > 0) return null;
    const previous = steps.at(-1);
    if (previous === undefined ? atS !== 0 : atS <= previous.atS) return null;
    steps.push({ rate, atS });
  }
  return steps.every((step) => isZero(step.rate)) ? null : { kind: 'steps', steps };
}

function parseRamp(body: string): Workload | null {
  const range = parseRange(body);
  return range === null || (isZero(range[0]) && isZero(range[1]))
    ? null
    : { kind: 'ramp', from: range[0], to: range[1] };
}

function parseSine(body: string): Workload | null {
  const [rangeText, periodText, ...rest] = body.split('/');
  const range = parseRange(rangeText);
  const periodS = parsePositive(periodText);
  if (range === null || periodS === null || rest.length > 0 || !isRising(range[0], range[1])) return null;
  return { kind: 'sine', low: range[0], high: range[1], periodS };
}

function parseBurst(body: string): Workload | null {
  const [lowText, highText, onText, offText, ...rest] = body.split('/');
  const low = parseRate(lowText);
  const high = parseRate(highText);
  const meanOnS = parsePositive(onText);
  const meanOffS = parsePositive(offText);
  if (low === null || high === null || meanOnS === null || meanOffS === null || rest.length > 0) return null;
  return isRising(low, high) ? { kind: 'burst', low, high, meanOnS, meanOffS } : null;
}

function parseFlash(body: string): Workload | null {
  const [baseText, peakText, lengthText, ...rest] = body.split('/');
  const [rateText, atText, ...more] = (peakText ?? '').split('@');
  const base = parseRate(baseText);
  const peak = parseRate(rateText);
  const atS = parsePositive(atText);
  const lengthS = parsePositive(lengthText);
  if (base === null || peak === null || atS === null || lengthS === null) return null;
  return rest.length > 0 || more.length > 0 || isZero(peak) ? null : { kind: 'flash', base, peak, atS, lengthS };
}

function parseRange(text: string | undefined): readonly [Rate, Rate] | null {
  const [lowText, highText, ...rest] = (text ?? '').split('..');
  const low = parseRate(lowText);
  const high = parseRate(highText);
  return low === null || high === null || rest.length > 0 ? null : [low, high];
}

function parseRate(text: string | undefined): Rate | null {
  if (text?.endsWith('%') === true) {
    const percent = parseNumber(text.slice(0, -1));
    return percent === null ? null : { kind: 'ofPeak', ratio: percent / 100 };
  }
  const perS = parseNumber(text);
  return perS === null ? null : { kind: 'perS', perS };
}

/** A plain decimal >= 0; `Number` alone would take '', ' 5 ' and '0x10'. */
function parseNumber(text: string | undefined): number | null {
  if (text === undefined || !/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

function parsePositive(text: string | undefined): number | null {
  const value = parseNumber(text);
  return value === null || value === 0 ? null : value;
}

function isZero(rate: Rate): boolean {
  return (rate.kind === 'perS' ? rate.perS : rate.ratio) === 0;
}

/** HIGH above 0, and not below LOW where both are in one unit; mixed units are compared once the peak is known. */
function isRising(low: Rate, high: Rate): boolean {
  if (isZero(high)) return false;
  if (low.kind === 'perS' && high.kind === 'perS') return low.perS <= high.perS;
  if (low.kind === 'ofPeak' && high.kind === 'ofPeak') return low.ratio <= high.ratio;
  return true;
}

function isKind(text: string): text is Workload['kind'] {
  return Object.hasOwn(WORKLOAD_FORMS, text);
}

/** `0.07 * 100` is 7.000000000000001: twelve digits are what was typed. */
function formatRate(rate: Rate): string {
  return rate.kind === 'perS' ? String(rate.perS) : `${Number((rate.ratio * 100).toPrecision(12))}%`;
}

function refuse(expected: string, got: string): Issue {
  return { field: 'workload', expected, got: JSON.stringify(got.length > 80 ? `${got.slice(0, 77)}...` : got) };
}
