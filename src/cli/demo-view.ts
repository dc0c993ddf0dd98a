// The demo on the screen: a frame for a terminal, a line for a pipe, the table at the end.
import { formatSettings } from '../core/settings.ts';
import type { ArmResult, DemoState } from '../../sidecar/lab/demo.ts';
import { progressBar, sparkline } from './live.ts';
import { formatTable, toSafeText, type Style } from './output.ts';

const SPARK_WIDTH = 40;

/** The frame; `rates` and `p99s` are this arm's so far, four a second. */
export function formatFrame(
  state: DemoState,
  heading: string,
  past: { readonly rates: readonly (number | null)[]; readonly p99s: readonly (number | null)[] },
  armCount: number,
  style: Style,
): string[] {
  const { client, agent } = state;
  const row = (name: string, text: string): string => `  ${style.dim(name.padEnd(10))}${text}`;
  const time = `${Math.min(state.elapsedS, state.durationS).toFixed(0)}/${state.durationS.toFixed(0)} s`;
  const phase = state.phase === 'running' ? time : state.phase;
  return [
    style.bold('Morphling demo'),
    style.dim(heading),
    '',
    `${style.bold(`${state.armIndex + 1}/${armCount}  ${state.arm.title}`)}  ${progressBar(state.elapsedS / state.durationS, 24)} ${phase}`,
    style.dim(state.arm.what),
    row('rate', `${`${client.sentPerS.toFixed(0)}/s`.padEnd(10)}${style.cyan(sparkline(past.rates, SPARK_WIDTH))}`),
    row('p99', `${formatMs(client.p99Ms).padEnd(10)}${style.cyan(sparkline(past.p99s, SPARK_WIDTH))}`),
    row('p50', formatMs(client.p50Ms)),
    row('waiting', `${client.inFlight} in flight, ${client.lost} lost of ${client.sent}`),
    row('GPU busy', formatPercent(state.gpuBusyRatio)),
    row('batch', formatNumber(state.meanBatchItems)),
    row('settings', agent?.settings ? `${formatSettings(agent.settings)}   (size / delay / concurrency)` : '-'),
    row('decision', agent?.decision ? toSafeText(agent.decision) : '-'),
    '',
    ...state.finished.map((arm) => style.dim(`  ${toSentence(arm)}`)),
  ];
}

/** One plain line every few seconds. */
export function formatLine(state: DemoState, armCount: number): string {
  const { client, agent } = state;
  const parts = [
    `[${state.armIndex + 1}/${armCount} ${state.arm.title}]`,
    state.phase === 'running' ? `${state.elapsedS.toFixed(0)}/${state.durationS.toFixed(0)} s` : state.phase,
    `${client.sentPerS.toFixed(0)} req/s`,
    `p50 ${formatMs(client.p50Ms)} p99 ${formatMs(client.p99Ms)}`,
    `lost ${client.lost}`,
    `batch ${formatNumber(state.meanBatchItems)}`,
    `GPU busy ${formatPercent(state.gpuBusyRatio)}`,
    ...(agent?.settings ? [`settings ${formatSettings(agent.settings)}`] : []),
  ];
  return parts.join('  ');
}

/** The comparison; the best p99 and goodput are bold. */
export function formatResults(arms: readonly ArmResult[], slaMs: number, style: Style): string {
  const bestP99 = Math.min(...arms.map((arm) => arm.p99Ms ?? Number.POSITIVE_INFINITY));
  const bestGoodput = Math.max(...arms.map((arm) => arm.goodputPerS));
  const header = ['', 'p50', 'p99', `goodput (<= ${slaMs} ms)`, 'within SLA', 'lost', 'GPU busy', 'mean batch'];
  const rows = arms.map((arm) => [
    arm.title,
    formatMs(arm.p50Ms),
    arm.p99Ms === bestP99 ? style.bold(formatMs(arm.p99Ms)) : formatMs(arm.p99Ms),
    arm.goodputPerS === bestGoodput ? style.bold(`${arm.goodputPerS.toFixed(1)}/s`) : `${arm.goodputPerS.toFixed(1)}/s`,
    formatPercent(arm.attainmentRatio),
    `${arm.lost}`,
    formatPercent(arm.gpuBusyRatio),
    formatNumber(arm.meanBatchItems),
  ]);
  return formatTable(header, rows, style);
}

function toSentence(arm: ArmResult): string {
  return `${arm.title}: p99 ${formatMs(arm.p99Ms)}, ${arm.goodputPerS.toFixed(1)}/s within the SLA, ${arm.lost} lost`;
}

function formatMs(ms: number | null): string {
  return ms === null ? '-' : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function formatPercent(ratio: number | null): string {
  return ratio === null ? '-' : `${(100 * ratio).toFixed(0)} %`;
}

function formatNumber(value: number | null): string {
  return value === null ? '-' : value.toFixed(1);
}
