// `morphling demo`: the whole thing on an embedded default, seen live, measured by its client.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isUrl } from '../config/address.ts';
import { createRandom } from '../core/random.ts';
import { parseTrace } from '../traffic/trace.ts';
import type { DemoOptions, DemoState } from '../../sidecar/lab/demo.ts';
import type { Call, Command } from './command.ts';
import { OUTPUT_OPTION } from './command.ts';
import { formatFrame, formatLine, formatResults } from './demo-view.ts';
import { EXIT } from './exit-codes.ts';
import { createLiveFrame } from './live.ts';

/**
 * The modelled server. Batch 1 takes 24.9 ms (40/s), so the timers' error of a fraction of a millisecond does not
 * count; batching gains 11.5-fold (463/s at 64), which is real headroom; and the arrivals need about 70/s on average,
 * more than batch 1 gives and little enough for two cores to drive client, agent and server.
 */
const PROFILE_ID = 'SE-ResNeXt101-32x4d|V100-16GB|FP32|PyTorch';
const MODEL = 'se-resnext101';
/** A little above two full batches (64 take 138 ms): room for one to wait for another, none for a queue. */
const SLA_MS = 300;
const ARM_S = 18;
const QUICK_ARM_S = 3;
/** A plain line so often where nothing can be redrawn. */
const LINE_EVERY_S = 3;
/** A generator that is later than this at its p99 makes the figures doubtful, and the demo says so. */
const SCHEDULE_ERROR_MS = 20;

export const demoCommand: Command = {
  name: 'demo',
  summary: 'See the whole thing work on a modelled GPU server under real arrivals.',
  examples: [
    ['morphling demo', 'about a minute and a half: the same arrivals before four contestants'],
    ['morphling demo --rules', 'about three minutes: beside the other rules of the field as well'],
    ['morphling demo --quick -o json', 'about 20 seconds, for machines'],
    ['morphling demo --upstream http://127.0.0.1:8000 --model resnet50', 'before a V2 model server of your own'],
  ],
  options: {
    upstream: { type: 'string', value: 'URL', doc: 'A V2 model server of your own instead of the modelled one.' },
    model: { type: 'string', value: 'NAME', doc: 'Which of its models; needed with --upstream.' },
    'sla-p99-ms': {
      type: 'string',
      value: 'MS',
      default: String(SLA_MS),
      doc: 'The service level that goodput counts against.',
    },
    quick: {
      type: 'boolean',
      doc: `${QUICK_ARM_S} s a contestant instead of ${ARM_S}: shows that it works, too short to compare.`,
    },
    rules: {
      type: 'boolean',
      doc: 'Also natural batching and the rules aimd and gradient, each in the place of the agent.',
    },
    seed: {
      type: 'string',
      value: 'N',
      default: '1',
      doc: 'Chooses the piece of the trace and the noise of the service time.',
    },
    ...OUTPUT_OPTION,
  },
  notes: [
    `The GPU is a model: batch latencies of ${PROFILE_ID} as published, batches in flight share it. Server, agent and client`,
    'are real processes. Arrivals: Azure LLM inference trace 2023 (code), replayed 20 times as fast. All figures are the',
    "client's own, from the intended start of each request; GPU busy and mean batch are the server's.",
  ].join('\n'),
  cleansUp: true,
  run,
};

async function run(call: Call): Promise<number> {
  const { output, flags } = call;
  const seed = Number(call.texts['seed']);
  const slaMs = Number(call.texts['sla-p99-ms']);
  const upstream = call.texts['upstream'];
  if (!Number.isInteger(seed)) return refuse(call, `--seed: expected a whole number, got ${call.texts['seed']}`);
  if (!(slaMs > 0)) return refuse(call, `--sla-p99-ms: expected a number above 0, got ${call.texts['sla-p99-ms']}`);
  if (upstream !== undefined && !isUrl(upstream))
    return refuse(call, `--upstream: expected a URL such as http://127.0.0.1:8000, got ${upstream}`);
  if (upstream !== undefined && call.texts['model'] === undefined)
    return refuse(call, '--model is needed with --upstream');
  const options = await toOptions(call, seed, slaMs);
  const { runDemo } = await import('../../sidecar/lab/demo.ts');

  const count = options.arrivals.timesS.length;
  const heading = `${'url' in options.server ? options.server.url : `${options.server.profileId} (modelled)`}, ${count} real arrivals in ${options.arrivals.durationS} s, SLA p99 ${slaMs} ms, seed ${seed}`;
  output.say(
    `${heading}; ${options.arms.length} contestants, about ${Math.round(options.arms.length * (options.arrivals.durationS + 3))} s. Ctrl-C ends it.`,
  );
  // JSON on a terminal: the frame would be in the way of the data.
  const show =
    output.isLive && output.format === 'table'
      ? createFrameShow(call, options, heading)
      : createLineShow(call, options);
  try {
    const arms = await runDemo(options, show.show, call.signal);
    show.end();
    output.data(
      {
        schema: 'morphling.io/demo/v1',
        seed,
        slaP99Ms: slaMs,
        model: options.model,
        server: options.server,
        arrivals: {
          requests: count,
          durationS: options.arrivals.durationS,
          traceFromS: options.arrivals.fromS,
          speed: options.arrivals.speed,
        },
        arms,
      },
      (style) => `\n${formatResults(arms, slaMs, style)}`,
    );
    output.say('');
    for (const arm of options.arms) output.say(`${arm.title}: ${arm.what}.`);
    if (flags.has('quick')) output.say('Quick run: too short for a fair p99, run it without --quick.');
    for (const arm of arms)
      if (arm.scheduleErrorP99Ms > SCHEDULE_ERROR_MS)
        output.say(
          `${arm.title}: the client was ${arm.scheduleErrorP99Ms.toFixed(0)} ms late at its p99 (a busy machine); its figures are that much too high.`,
        );
    return EXIT.ok;
  } finally {
    show.end();
  }
}

async function toOptions(call: Call, seed: number, slaMs: number): Promise<DemoOptions> {
  const [{ createArms }, { chooseArrivals }, { toArrivalsFile }, payloads] = await Promise.all([
    import('../../sidecar/lab/demo-arms.ts'),
    import('../../sidecar/lab/demo-arrivals.ts'),
    import('../../sidecar/lab/demo-data.ts'),
    import('../../sidecar/lab/client-payload.ts'),
  ]);
  const trace = parseTrace(readFileSync(toArrivalsFile(), 'utf8'));
  const upstream = call.texts['upstream'];
  const model = call.texts['model'] ?? MODEL;
  return {
    // src/cli/demo.ts and dist/src/cli/demo.js both: the entry lies in src/cli of the package.
    morphling: [process.execPath, ...process.execArgv, fileURLToPath(toEntry())],
    env: call.env,
    arms: createArms(slaMs, call.flags.has('rules')),
    arrivals: chooseArrivals(trace, call.flags.has('quick') ? QUICK_ARM_S : ARM_S, createRandom(seed).fork('piece')),
    model,
    payload:
      upstream === undefined
        ? payloads.createEchoPayload(model)
        : payloads.createZeroPayload(model, await readMetadata(upstream, model, call.signal)),
    slaMs,
    seed,
    server: upstream === undefined ? { profileId: PROFILE_ID } : { url: upstream.replace(/\/$/, '') },
  };
}

function toEntry(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(isSource ? './morphling.mjs' : '../../../src/cli/morphling.mjs', import.meta.url);
}

async function readMetadata(upstream: string, model: string, signal: AbortSignal): Promise<unknown> {
  const { createHttp } = await import('./http.ts');
  return createHttp(upstream.replace(/\/$/, ''), { timeoutMs: 10_000, signal }).getJson(
    `/v2/models/${encodeURIComponent(model)}`,
  );
}

interface Show {
  show(this: void, state: DemoState): void;
  end(): void;
}

function createFrameShow(call: Call, options: DemoOptions, heading: string): Show {
  const frame = createLiveFrame(call.output);
  let arm = -1;
  let rates: (number | null)[] = [];
  let p99s: (number | null)[] = [];
  return {
    show(state) {
      if (state.armIndex !== arm) [arm, rates, p99s] = [state.armIndex, [], []];
      if (state.phase !== 'starting') {
        rates.push(state.client.sentPerS);
        p99s.push(state.client.p99Ms);
      }
      frame.draw(formatFrame(state, heading, { rates, p99s }, options.arms.length, call.output.style));
    },
    end: () => frame.end(),
  };
}

function createLineShow(call: Call, options: DemoOptions): Show {
  let next = 0;
  let arm = -1;
  return {
    show(state) {
      if (state.armIndex !== arm) [arm, next] = [state.armIndex, LINE_EVERY_S];
      if (state.elapsedS < next) return;
      next += LINE_EVERY_S;
      call.output.say(formatLine(state, options.arms.length));
    },
    end: () => {},
  };
}

function refuse(call: Call, message: string): number {
  call.output.fail(message);
  call.output.say('See morphling demo --help.');
  return EXIT.usage;
}
