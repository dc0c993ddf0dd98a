// `morphling simulate`: one deterministic run of the agent in virtual time against a modelled GPU.
import { readFileSync } from 'node:fs';
import { formatIssue, MorphlingError, toMessage } from '../core/errors.ts';
import { type Mode, MODES } from '../core/policy.ts';
import { parseTrace } from '../traffic/trace.ts';
import { isIssue, parseWorkload, WORKLOAD_FORMS } from '../traffic/workload.ts';
import type { Traffic } from '../../sidecar/lab/cell.ts';
import type { CurvePoint } from '../../sidecar/lab/profiles.ts';
import type { SimulationReport } from '../../sidecar/lab/report.ts';
import { type Call, type Command, OUTPUT_OPTION } from './command.ts';
import { parseSwitchCost } from './emulate.ts';
import { EXIT } from './exit-codes.ts';
import { formatTable } from './output.ts';

export const simulateCommand: Command = {
  name: 'simulate',
  summary: 'Run the agent in virtual time against a modelled GPU; the same arguments give the same bytes.',
  examples: [
    [
      "morphling simulate --profile-id 'ResNet-50-v1.5|V100-16GB|FP32|PyTorch' --workload poisson:85% --sla-p99-ms 80",
      'the planner on a published profile at 85 % of its peak',
    ],
    [
      "morphling simulate --profile F --profile-id ID --workload steps:20%@0,60%@60 --controller 'fixed:b=8,d=2,c=1' -o json",
      'a constant setting, as one JSON object',
    ],
    [
      'morphling simulate --profile-id ID --trace arrivals.csv --trace-scale 500 --controller oracle-phase --mode cost',
      'recorded arrivals, 500 times as fast, against the best in hindsight',
    ],
  ],
  options: {
    profile: {
      type: 'string',
      value: 'FILE',
      doc: 'CSV with the columns model, gpu, precision, framework, batch, latency_ms; else the shipped one.',
    },
    'profile-id': { type: 'string', value: 'ID', doc: "Which curve of the file: 'model|gpu|precision|framework'." },
    workload: { type: 'string', value: 'SPEC', doc: 'The load; rates in requests per second or as 50% of the peak.' },
    trace: { type: 'string', value: 'FILE', doc: 'Recorded arrivals instead: a CSV with a column arrival_s.' },
    'trace-scale': { type: 'string', value: 'X', default: '1', doc: 'Plays the trace X times as fast.' },
    requests: {
      type: 'string',
      value: 'N',
      doc: 'Expected number of requests, default 30000; the times of SPEC stretch to fit.',
    },
    duration: { type: 'string', value: 'S', doc: 'Seconds instead; the times of SPEC are as written.' },
    mode: { type: 'string', value: 'MODE', default: 'balanced', choices: MODES, doc: 'What the objective weighs.' },
    'sla-p99-ms': { type: 'string', value: 'MS', doc: 'The p99 target; else three times the p99 of batch 1.' },
    controller: { type: 'string', value: 'NAME', default: 'planner', doc: 'Who chooses the settings.' },
    'alt-profile-id': { type: 'string', value: 'ID', doc: 'What the engine becomes when its switch is on.' },
    'switch-cost': {
      type: 'string',
      value: 'reload:2s|live',
      default: 'reload:2s',
      doc: 'What turning the switch costs.',
    },
    'switch-name': { type: 'string', value: 'NAME', default: 'tensorrt', doc: 'Name of the switch.' },
    interference: {
      type: 'string',
      value: 'K',
      default: '0.7',
      doc: 'Cost of each further batch in flight, 0 (none) to 1 (time slicing).',
    },
    interval: {
      type: 'string',
      value: 'S',
      doc: 'Control interval; else a hundredth of the run, or 10 with --duration.',
    },
    seed: { type: 'string', value: 'N', default: '1', doc: 'Seed of arrivals and noise, each a stream of its own.' },
    'cache-dir': {
      type: 'string',
      value: 'DIR',
      doc: 'Where oracles are kept by the hash of their inputs; else the XDG cache folder; none: nowhere.',
    },
    ...OUTPUT_OPTION,
  },
  notes: `SPEC: ${Object.values(WORKLOAD_FORMS).join(' ')}
Controllers: planner linear aimd gradient bayes, fixed:b=8,d=2,c=1 (d in ms, or d=sla/2), oracle-static oracle-phase.
The objective is p99^w x (busy GPU seconds per 1,000 answers within the SLO)^(1-w), w = 1, 0, 0.7 by mode; lower is better.
An interval of the run is 10 s of the agent: its own time constants stand in proportion to the interval.`,
  run,
};

async function run(call: Call): Promise<number> {
  const { texts, output } = call;
  const [{ createCurve, findProfile, parseProfiles }, { simulate }, { parseController }, { toProfilesFile }] =
    await Promise.all([
      import('../../sidecar/lab/profiles.ts'),
      import('../../sidecar/lab/simulate.ts'),
      import('../../sidecar/lab/controllers.ts'),
      import('../../sidecar/lab/demo-data.ts'),
    ]);
  const numbers = parseNumbers(texts);
  if (typeof numbers === 'string') return refuse(call, numbers);
  const id = texts['profile-id'];
  if (id === undefined) return refuse(call, "--profile-id is needed: 'model|gpu|precision|framework'");
  const cost = parseSwitchCost(texts['switch-cost'] ?? '');
  if (cost === null) return refuse(call, `--switch-cost: expected live or reload:2s, got ${texts['switch-cost']}`);
  const traffic = parseTraffic(texts, numbers.traceScale);
  if (typeof traffic === 'string') return refuse(call, traffic);

  const profiles = parseProfiles(readText('--profile', texts['profile'] ?? toProfilesFile()));
  const profile = findProfile(profiles, id);
  const slaP99Ms = numbers.slaP99Ms ?? toAssumedSlaMs(createCurve(profile.points).latencyMs(1));
  if (numbers.slaP99Ms === null) output.say(`no --sla-p99-ms: assumed ${slaP99Ms.toPrecision(4)} ms`);
  const controller = parseController(texts['controller'] ?? '', slaP99Ms);
  if ('expected' in controller) return refuse(call, `--${formatIssue(controller)}`);
  const alternativeId = texts['alt-profile-id'];
  const isWholeTrace = traffic.kind === 'trace' && numbers.requests === null;
  const report = simulate({
    spec: {
      points: profile.points,
      traffic,
      length:
        numbers.durationS === null
          ? { requests: isWholeTrace ? traffic.timesS.length : (numbers.requests ?? REQUESTS) }
          : { durationS: numbers.durationS },
      ...(numbers.intervalS === null ? {} : { intervalS: numbers.intervalS }),
      slaP99Ms,
      interference: numbers.interference,
      seed: numbers.seed,
      ...(alternativeId === undefined
        ? {}
        : {
            alternative: toAlternative(
              findProfile(profiles, alternativeId).points,
              texts['switch-name'] ?? '',
              cost.kind === 'live' ? 0 : cost.stallMs,
            ),
          }),
    },
    mode: texts['mode'] as Mode,
    controller,
    cacheDir: toCacheDir(texts['cache-dir'], call.env),
  });
  output.data(report, (style) => {
    const head = `${profile.id}, ${texts['controller']}, ${texts['mode']}, SLA ${short(slaP99Ms)} ms, seed ${report.seed}`;
    return `${head}\n\n${formatSummary(report)}\n\n${formatTable(STRETCH_HEADER, report.stretches.map(toStretchRow), style)}`;
  });
  return EXIT.ok;
}

const REQUESTS = 30_000;

interface Numbers {
  readonly requests: number | null;
  readonly durationS: number | null;
  readonly slaP99Ms: number | null;
  readonly intervalS: number | null;
  readonly traceScale: number;
  readonly interference: number;
  readonly seed: number;
}

/** All numbers of the command line; a sentence that names the bad one. */
function parseNumbers(texts: Call['texts']): Numbers | string {
  const problems: string[] = [];
  const parse = (name: string, expected: string, isGood: (value: number) => boolean): number | null => {
    const text = texts[name];
    if (text === undefined) return null;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(value) && isGood(value)) return value;
    problems.push(`--${name}: expected ${expected}, got ${JSON.stringify(text)}`);
    return null;
  };
  const isAboveZero = (value: number): boolean => value > 0;
  const numbers: Numbers = {
    requests: parse('requests', 'a whole number from 1', (value) => Number.isInteger(value) && value >= 1),
    durationS: parse('duration', 'seconds above 0', isAboveZero),
    slaP99Ms: parse('sla-p99-ms', 'milliseconds above 0', isAboveZero),
    intervalS: parse('interval', 'seconds above 0', isAboveZero),
    traceScale: parse('trace-scale', 'a number above 0', isAboveZero) ?? 1,
    interference: parse('interference', 'a number from 0 to 1', (value) => value >= 0 && value <= 1) ?? 0,
    seed: parse('seed', 'a whole number', Number.isInteger) ?? 1,
  };
  if (numbers.requests !== null && numbers.durationS !== null)
    problems.push('--requests and --duration: expected one of them, got both');
  return problems.length === 0 ? numbers : problems.join('; ');
}

function parseTraffic(texts: Call['texts'], speed: number): Traffic | string {
  const { workload: spec, trace } = texts;
  if ((spec === undefined) === (trace === undefined)) return 'one of --workload and --trace is needed';
  if (trace !== undefined) return { kind: 'trace', timesS: parseTrace(readText('--trace', trace)), speed };
  const workload = parseWorkload(spec ?? '');
  return isIssue(workload) ? `--${formatIssue(workload)}` : { kind: 'workload', workload };
}

function toAlternative(points: readonly CurvePoint[], switchName: string, stallMs: number) {
  return { points, switchName, stallMs };
}

/** Three times the p99 of batch 1 under the engine's own noise of 5 %. */
function toAssumedSlaMs(latency1Ms: number): number {
  return 3 * latency1Ms * (1 + 2.326 * 0.05);
}

function toCacheDir(given: string | undefined, env: Call['env']): string | null {
  if (given !== undefined) return given === 'none' ? null : given;
  const cache = env['XDG_CACHE_HOME'];
  const home = env['HOME'];
  if (cache?.startsWith('/') === true) return `${cache}/morphling`;
  return home?.startsWith('/') === true ? `${home}/.cache/morphling` : null;
}

function formatSummary(report: SimulationReport): string {
  const lines: readonly (readonly [string, string])[] = [
    ['requests', `${report.requests}, ${report.completed} answered, ${report.shed} shed`],
    ['p50 / p99', `${short(report.p50Ms)} / ${short(report.p99Ms)} ms`],
    ['within the SLA', `${(100 * report.sloAttainment).toFixed(2)} %, ${short(report.goodputPerS)}/s`],
    ['mean batch', short(report.meanBatch)],
    ['GPU busy / useful', `${(100 * report.gpuBusy).toFixed(1)} / ${(100 * report.gpuUtil).toFixed(1)} %`],
    ['GPU s per 1,000', shortOrNone(report.gpuSecondsPer1k)],
    [
      'objective',
      `${shortOrNone(report.objective)}${report.feasible ? '' : ', not feasible: a stretch breaks the SLA'}`,
    ],
    ['changes', `${report.decisions.length}, ${report.rollbacks} rolled back, ${report.unsafeDecisions} unsafe`],
    [
      'to 95 % of the best',
      report.decisionsTo95 === null
        ? 'not reached'
        : `${report.decisionsTo95} decisions, ${short(report.secondsTo95 ?? 0)} s`,
    ],
  ];
  return lines.map(([name, text]) => `${name.padEnd(20)}${text}`).join('\n');
}

const STRETCH_HEADER = ['FROM', 'TO', 'REQUESTS', 'SHED', 'P50', 'P99', 'GPU S/1K', 'OBJECTIVE', 'FEASIBLE'];

function toStretchRow(stretch: SimulationReport['stretches'][number]): readonly string[] {
  return [
    `${short(stretch.fromS)} s`,
    `${short(stretch.toS)} s`,
    String(stretch.requests),
    String(stretch.shed),
    `${short(stretch.p50Ms)} ms`,
    `${short(stretch.p99Ms)} ms`,
    shortOrNone(stretch.gpuSecondsPer1k),
    shortOrNone(stretch.objective),
    stretch.requests === 0 ? '-' : stretch.feasible ? 'yes' : 'no',
  ];
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function shortOrNone(value: number | null): string {
  return value === null ? '-' : short(value);
}

function readText(option: string, path: string | URL): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MorphlingError('NOT_FOUND', `${option}: ${toMessage(cause)}`, { cause });
  }
}

function refuse(call: Call, message: string): number {
  call.output.fail(message);
  call.output.say('See morphling simulate --help.');
  return EXIT.usage;
}
