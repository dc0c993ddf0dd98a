// What the coordinator grants one model on one device: a lease, not a possession.

export interface Share {
  readonly model: string;
  readonly gpuUuid: string;
  /** Device milliseconds this model may use in each second. */
  readonly gpuMsPerS: number;
  readonly concurrencyMax: number;
  readonly memoryBytes: number;
  /** From receipt: clocks are never compared, only durations. */
  readonly expiresInMs: number;
}
