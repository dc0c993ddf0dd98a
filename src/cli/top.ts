// `morphling top`: status again and again, redrawn on a terminal, a line a model when piped.
import { CONTROL_OPTIONS, type Call, type Command } from './command.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { formatMs, formatNumber, formatWireSettings } from './format.ts';
import { at, numberAt, recordsAt, textAt } from './json.ts';
import { createLiveFrame, sparkline } from './live.ts';
import { formatModels, formatTelemetry } from './model-rows.ts';
import { toSafeText } from './output.ts';
import { formatState } from './status.ts';

const SPARK_WIDTH = 60;

export const topCommand: Command = {
  name: 'top',
  summary: 'Watch rates, latencies, batches and settings live.',
  examples: [
    ['morphling top', 'until Ctrl-C'],
    ['morphling top --interval 5 --count 12 >> top.log', 'a line a model every 5 s for a minute'],
  ],
  options: {
    interval: { type: 'string', value: 'SECONDS', default: '1', doc: 'Time between two looks.' },
    count: { type: 'string', value: 'N', doc: 'Stop after so many looks; else go on until Ctrl-C.' },
    ...CONTROL_OPTIONS,
  },
  cleansUp: true,
  run,
};

async function run(call: Call): Promise<number> {
  const intervalS = Number(call.texts['interval']);
  const count = call.texts['count'] === undefined ? Number.POSITIVE_INFINITY : Number(call.texts['count']);
  if (!(intervalS >= 0.1 && count >= 1)) {
    call.output.fail(
      `expected --interval from 0.1 and --count from 1, got ${call.texts['interval']} and ${call.texts['count'] ?? 'none'}`,
    );
    return EXIT.usage;
  }
  const control = openControl(call);
  const { output } = call;
  const frame = createLiveFrame(output);
  const rates: (number | null)[] = [];
  const p99s: (number | null)[] = [];
  try {
    for (let look = 0; look < count && !call.signal.aborted; look++) {
      if (look > 0) await pause(1000 * intervalS, call.signal);
      if (call.signal.aborted) break;
      const [status, answer] = await Promise.all([control.getJson('/v1/status'), control.getJson('/v1/snapshot')]);
      if (!output.isLive) {
        for (const line of toLines(status)) output.print(line);
        continue;
      }
      const models = recordsAt(status, 'models');
      rates.push(models.reduce((sum, model) => sum + (numberAt(model, 'ratePerS') ?? 0), 0));
      const known = models.map((model) => numberAt(model, 'p99Ms')).filter((ms) => ms !== null);
      p99s.push(known.length === 0 ? null : Math.max(...known));
      frame.draw([
        ...formatState(status, output.style),
        '',
        `rate  ${output.style.cyan(sparkline(rates, SPARK_WIDTH))}  ${formatNumber(rates.at(-1) ?? null)}/s`,
        `p99   ${output.style.cyan(sparkline(p99s, SPARK_WIDTH))}  ${formatMs(p99s.at(-1) ?? null)}`,
        '',
        ...formatModels(status, output.style).split('\n'),
        '',
        ...formatTelemetry(answer),
      ]);
    }
  } finally {
    frame.end();
  }
  return EXIT.ok;
}

function toLines(status: unknown): string[] {
  const now = new Date().toISOString();
  const models = recordsAt(status, 'models');
  if (models.length === 0) return [`${now}  no traffic yet`];
  return models.map((model) =>
    [
      now,
      toSafeText(textAt(model, 'model') ?? '-'),
      `rate=${formatNumber(numberAt(model, 'ratePerS'))}`,
      `p99Ms=${formatNumber(numberAt(model, 'p99Ms'))}`,
      `batch=${formatNumber(numberAt(model, 'meanBatchItems'))}`,
      `queue=${formatNumber(numberAt(model, 'queueDepth'), 0)}`,
      `settings=${formatWireSettings(at(model, 'settings')).replaceAll(' ', '')}`,
    ].join('  '),
  );
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
