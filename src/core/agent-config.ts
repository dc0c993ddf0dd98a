// The frozen configuration of the agent: what may not change after start. Built in src/config, read everywhere.
import type { Policy } from './policy.ts';

/** `127.0.0.1:9465`, taken apart. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Per-model overrides; the key of the map is the model's name. */
export interface ModelConfig {
  /** V2 models are batched only if their metadata allows it, or this is true; false: never. */
  readonly batchable?: boolean;
  /** The engine's own maximum, which a batch never exceeds. */
  readonly maxBatchSize?: number;
}

export interface AgentConfig {
  readonly listen: Address;
  /** Origin of the model server, `http://127.0.0.1:8000`. */
  readonly upstream: string;
  readonly control: Address;
  readonly metrics: Address;
  readonly stateDir: string;
  readonly failOpen: boolean;
  /** Which decider runs the loop. */
  readonly decider: 'linear' | 'aimd' | 'gradient' | 'fixed';
  readonly engine: 'auto' | 'none' | 'triton' | 'emulated';
  /** Where the engine's own metrics page is: a URL, `auto`, or `off`. */
  readonly engineMetrics: string;
  readonly models: Readonly<Record<string, ModelConfig>>;
  readonly batch: { readonly keyHeaders: readonly string[] };
  readonly limits: {
    readonly bodyBytes: number;
    /** Requests waiting in one model's queue, a hard stop behind the bound in time. */
    readonly queueRequests: number;
    /** Upstream calls in flight over all models. */
    readonly concurrency: number;
    readonly connections: number;
    /** No answer's first byte for so long: timeout. */
    readonly upstreamTimeoutMs: number;
  };
  readonly drain: { readonly delayMs: number; readonly timeoutMs: number };
  readonly telemetry: {
    readonly accelerator: 'auto' | 'nvidia-smi' | 'dcgm' | 'busy' | 'off';
    readonly nvidiaSmi: string;
    readonly dcgmUrl: string;
    readonly cgroupRoot: string;
  };
  readonly mind: { readonly rssLimitBytes: number };
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly policy: Policy;
  /** Bad fields that `failOpen` let pass, as sentences; not empty means pass-through and `morphling_config_invalid` 1. */
  readonly invalid: readonly string[];
}
