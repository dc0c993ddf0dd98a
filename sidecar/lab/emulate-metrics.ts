// The emulator's own page, in the names that Triton uses, so that scrapers find what they know.
import type { DeviceTotals } from './emulate-device.ts';

/** What the page shows of one model. Counts are since the start; durations in microseconds, as Triton has them. */
export interface ModelTotals {
  readonly model: string;
  readonly successes: number;
  readonly failures: number;
  /** Items answered. */
  readonly items: number;
  /** Batches executed. */
  readonly executions: number;
  readonly durationUs: number;
  /** Requests in flight. */
  readonly pending: number;
}

/** The device beside it: the stand-in nvidia-smi reads the same figures. */
export interface DeviceState {
  readonly uuid: string;
  readonly name: string;
  readonly utilizationRatio: number;
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
}

/** Prometheus text, format 0.0.4. */
export function formatMetrics(models: readonly ModelTotals[], device: DeviceState, totals: DeviceTotals): string {
  const perModel = (name: string, help: string, type: string, read: (model: ModelTotals) => number): string =>
    family(
      name,
      help,
      type,
      models.map((model) => [`model="${model.model}",version="1"`, read(model)]),
    );
  const gpu = `gpu_uuid="${device.uuid}"`;
  return [
    perModel('nv_inference_request_success', 'Successful inference requests', 'counter', (m) => m.successes),
    perModel('nv_inference_request_failure', 'Failed inference requests', 'counter', (m) => m.failures),
    perModel('nv_inference_count', 'Inferences performed, batched ones counted singly', 'counter', (m) => m.items),
    perModel('nv_inference_exec_count', 'Model executions', 'counter', (m) => m.executions),
    perModel('nv_inference_request_duration_us', 'Cumulative request time', 'counter', (m) => m.durationUs),
    perModel('nv_inference_queue_duration_us', 'Cumulative queue time: the model runs at once', 'counter', () => 0),
    perModel('nv_inference_compute_infer_duration_us', 'Cumulative compute time', 'counter', (m) => m.durationUs),
    perModel('nv_inference_pending_request_count', 'Requests being executed', 'gauge', (m) => m.pending),
    family('nv_gpu_utilization', 'Modelled device utilisation, 0 to 1', 'gauge', [[gpu, device.utilizationRatio]]),
    family('nv_gpu_memory_total_bytes', 'Modelled device memory', 'gauge', [[gpu, device.memoryTotalBytes]]),
    family('nv_gpu_memory_used_bytes', 'Modelled memory in use', 'gauge', [[gpu, device.memoryUsedBytes]]),
    family('emulator_busy_seconds_total', 'Time with a batch running', 'counter', [['', totals.busyMs / 1000]]),
    family('emulator_modelled_seconds_total', 'Batch time as modelled', 'counter', [['', totals.modelledMs / 1000]]),
    family('emulator_late_seconds_total', 'Answers later than modelled', 'counter', [['', totals.lateMs / 1000]]),
    family('emulator_late_seconds_max', 'The latest answer', 'gauge', [['', totals.maxLateMs / 1000]]),
  ].join('');
}

function family(name: string, help: string, type: string, samples: readonly (readonly [string, number])[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
}
