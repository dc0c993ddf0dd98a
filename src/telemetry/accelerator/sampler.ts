// The interface of everything that reads a device: nvidia-smi, dcgm-exporter, inferred busy time.
import type { DeviceReading, SourceHealth } from '../../core/snapshot.ts';

/**
 * A long-lived source of device readings. It never throws into its owner, holds at most one child
 * process or one request in flight, and reports unknown as null, never as 0.
 */
export interface AcceleratorSampler {
  /** `nvidia-smi`, `dcgm`, `busy`: the `source` label of the telemetry metrics. */
  readonly source: string;
  start(): void;
  /** The newest good reading; empty before the first. */
  devices(): readonly DeviceReading[];
  health(nowMs: number): SourceHealth;
  /** Ends the child or the request; resolves when nothing is left. */
  stop(): Promise<void>;
}
