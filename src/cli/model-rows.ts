// One line a model: what status prints once and top prints again and again.
import { formatMs, formatNumber, formatPercent, formatWireSettings } from './format.ts';
import { at, numberAt, recordsAt, textAt, type JsonRecord } from './json.ts';
import { formatTable, toSafeText, type Style } from './output.ts';

/** The models of a snapshot as a table; a sentence when there is none. */
export function formatModels(snapshot: unknown, style: Style): string {
  const models = recordsAt(snapshot, 'models');
  if (models.length === 0) return 'no traffic yet';
  const header = [
    'MODEL',
    'RATE',
    'P50',
    'P99',
    'SLA',
    'ERRORS',
    'BATCH',
    'FILL',
    'QUEUE',
    'IN FLIGHT',
    'SIZE / DELAY / CONCURRENCY',
  ];
  return formatTable(
    header,
    models.map((model) => toRow(model, style)),
    style,
  );
}

/** Devices and host in one line each; empty when nothing reports. */
export function formatTelemetry(snapshot: unknown): string[] {
  const devices = recordsAt(snapshot, 'telemetry', 'devices').map((device) => {
    const used = numberAt(device, 'memoryUsedBytes');
    const total = numberAt(device, 'memoryTotalBytes');
    const memory =
      used === null || total === null
        ? ''
        : `, memory ${formatPercent(used / total)} of ${(total / 2 ** 30).toFixed(0)} GiB`;
    const power = numberAt(device, 'powerWatts');
    return `GPU ${textAt(device, 'index') ?? '-'}  ${toSafeText(textAt(device, 'name') ?? '')}  busy ${formatPercent(numberAt(device, 'utilizationRatio'))}${memory}${power === null ? '' : `, ${power.toFixed(0)} W`}`;
  });
  const cpu = numberAt(snapshot, 'telemetry', 'host', 'cpuRatio');
  const host =
    cpu === null ? [] : [`CPU  ${formatPercent(cpu)} (${textAt(snapshot, 'telemetry', 'host', 'cpuSource') ?? '-'})`];
  return [...devices, ...host];
}

function toRow(model: JsonRecord, style: Style): string[] {
  const window = at(model, 'window');
  const p99Ms = numberAt(window, 'latency', 'p99Ms');
  const slaMs = numberAt(model, 'sla', 'p99Ms');
  const isAssumed = at(model, 'sla', 'isAssumed') === true;
  const p99 = formatMs(p99Ms);
  return [
    toSafeText(textAt(model, 'model') ?? '-'),
    `${formatNumber(numberAt(window, 'ratePerS'))}/s`,
    formatMs(numberAt(window, 'latency', 'p50Ms')),
    p99Ms !== null && slaMs !== null && p99Ms > slaMs ? style.red(p99) : p99,
    `${formatMs(slaMs)}${isAssumed ? ' (assumed)' : ''}`,
    formatPercent(numberAt(window, 'errorRatio'), 2),
    formatNumber(numberAt(window, 'meanBatchItems')),
    formatPercent(numberAt(window, 'fillRatio')),
    formatNumber(numberAt(model, 'queueDepth'), 0),
    formatNumber(numberAt(model, 'inflight'), 0),
    formatWireSettings(at(model, 'version', 'settings')),
  ];
}
