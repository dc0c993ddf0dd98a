// One line a model: what status prints once and top prints again and again.
import { formatMs, formatNumber, formatPercent, formatWireSettings } from './format.ts';
import { at, numberAt, recordsAt, textAt, type JsonRecord } from './json.ts';
import { formatTable, toSafeText, type Style } from './output.ts';

/** The models of a status as a table; a sentence when there is none. */
export function formatModels(status: unknown, style: Style): string {
  const models = recordsAt(status, 'models');
  if (models.length === 0) return 'no model has been asked for yet';
  const header = [
    'MODEL',
    'RATE',
    'P99',
    'SLA',
    'ERRORS',
    'BATCH',
    'QUEUE',
    'IN FLIGHT',
    'SIZE / DELAY / CONCURRENCY',
    'SOURCE',
  ];
  return formatTable(
    header,
    models.map((model) => toRow(model, style)),
    style,
  );
}

/** Devices and host in one line each; empty when nothing reports. */
export function formatTelemetry(snapshot: unknown): string[] {
  const devices = recordsAt(snapshot, 'snapshot', 'telemetry', 'devices').map((device) => {
    const used = numberAt(device, 'memoryUsedBytes');
    const total = numberAt(device, 'memoryTotalBytes');
    const memory =
      used === null || total === null
        ? ''
        : `, memory ${formatPercent(used / total)} of ${(total / 2 ** 30).toFixed(0)} GiB`;
    const power = numberAt(device, 'powerWatts');
    return `GPU ${textAt(device, 'index') ?? '-'}  ${toSafeText(textAt(device, 'name') ?? '')}  busy ${formatPercent(numberAt(device, 'utilizationRatio'))}${memory}${power === null ? '' : `, ${power.toFixed(0)} W`}`;
  });
  const cpu = numberAt(snapshot, 'snapshot', 'telemetry', 'host', 'cpuRatio');
  const host =
    cpu === null
      ? []
      : [`CPU  ${formatPercent(cpu)} (${textAt(snapshot, 'snapshot', 'telemetry', 'host', 'cpuSource') ?? '-'})`];
  return [...devices, ...host];
}

function toRow(model: JsonRecord, style: Style): string[] {
  const p99Ms = numberAt(model, 'p99Ms');
  const slaMs = numberAt(model, 'sla', 'p99Ms');
  const isAssumed = at(model, 'sla', 'isAssumed') === true;
  const p99 = formatMs(p99Ms);
  const ratePerS = numberAt(model, 'ratePerS');
  return [
    toSafeText(textAt(model, 'model') ?? '-'),
    ratePerS === null ? '-' : `${formatNumber(ratePerS)}/s`,
    p99Ms !== null && slaMs !== null && p99Ms > slaMs ? style.red(p99) : p99,
    `${formatMs(slaMs)}${isAssumed && slaMs !== null ? ' (assumed)' : ''}`,
    formatPercent(numberAt(model, 'errorRatio'), 2),
    formatNumber(numberAt(model, 'meanBatchItems')),
    formatNumber(numberAt(model, 'queueDepth'), 0),
    formatNumber(numberAt(model, 'inflight'), 0),
    formatWireSettings(at(model, 'settings')),
    `${textAt(model, 'source') ?? '-'}${at(model, 'isWatching') === true ? ' (watched)' : ''}`,
  ];
}
