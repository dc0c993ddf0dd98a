// Device readings from one long-lived nvidia-smi that prints a row a device and interval.
import type { DeviceReading, SourceHealth } from '../../core/snapshot.ts';
import { toMessage } from '../../core/errors.ts';
import { startChild, type Child, type ChildEnd } from './child.ts';
import {
  parseCsvLine,
  parseDeviceList,
  QUERY_FIELDS,
  toExitSentence,
  toFault,
  toUnknownReading,
  type ListedDevice,
  type NvidiaSmiFault,
} from './nvidia-smi-csv.ts';
import type { AcceleratorSampler } from './sampler.ts';

export interface NvidiaSmiOptions {
  /** Absolute path. */
  readonly path: string;
  /** Between two rows of one device, ms; the child runs at this pace all the time, since a restart costs a second. */
  readonly intervalMs?: number;
  /** Rows are taken no more often than this, ms: the sampling interval in force. Absent: every row. */
  readonly keepEveryMs?: () => number;
  /** No line for so long: the child hangs. */
  readonly silenceMs?: number;
  /** Pause before the second attempt, ms; doubles to the longest, and falls back once rows come. */
  readonly backOffMs?: readonly [least: number, most: number];
  readonly clock?: () => number;
  /** Called after each reading that was taken. */
  readonly onReading?: () => void;
}

/** A device that has printed no row for so many kept intervals is gone. */
const GONE_AFTER_INTERVALS = 3;
/** 64 GPUs print about 6 kB a second; this much in one silence is no sampler. */
const FLOOD_BYTES = 1 << 20;
const STOP_PATIENCE_MS = 2000;

/**
 * Runs `nvidia-smi -L` once and then `nvidia-smi --query-gpu=… -lms N` until it ends, hangs or floods; then again
 * after a pause. At most one child at a time; whatever it prints or does, nothing is thrown and nothing becomes 0.
 */
export function createNvidiaSmi(options: NvidiaSmiOptions): AcceleratorSampler {
  return new NvidiaSmi(options);
}

class NvidiaSmi implements AcceleratorSampler {
  readonly source = 'nvidia-smi';
  readonly #options: NvidiaSmiOptions;
  readonly #clock: () => number;
  readonly #intervalMs: number;
  readonly #backOffMs: readonly [number, number];
  #fields: readonly string[] = QUERY_FIELDS;
  /** Newest row of each GPU by UUID. */
  readonly #rows = new Map<
    string,
    { readonly device: DeviceReading; readonly isMig: boolean; readonly atMs: number }
  >();
  #listed: readonly ListedDevice[] = [];
  #lastGoodMs: number | null = null;
  /** Rows are taken until this time, then skipped until the next is due. */
  #takeUntilMs = Number.NEGATIVE_INFINITY;
  #errors = 0;
  #lastError: string | null = null;
  /** The best explanation this attempt has given so far. */
  #fault: NvidiaSmiFault | null = null;
  #isStopped = false;
  #running: Promise<void> | null = null;
  #child: Child | null = null;
  #wake: (() => void) | null = null;

  constructor(options: NvidiaSmiOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#intervalMs = options.intervalMs ?? 1000;
    this.#backOffMs = options.backOffMs ?? [1000, 60_000];
  }

  start(): void {
    if (this.#running !== null || this.#isStopped) return;
    this.#running = this.#run().catch((error: unknown) => this.#fail(toMessage(error)));
  }

  devices(): readonly DeviceReading[] {
    const newestMs = Math.max(...[...this.#rows.values()].map((row) => row.atMs));
    const goneMs = GONE_AFTER_INTERVALS * Math.max(this.#intervalMs, this.#options.keepEveryMs?.() ?? 0);
    const devices: DeviceReading[] = [];
    for (const { device, isMig, atMs } of this.#rows.values()) {
      if (newestMs - atMs > goneMs) continue;
      devices.push(device);
      if (isMig)
        for (const slice of this.#listed) if (slice.parentUuid === device.uuid) devices.push(toUnknownReading(slice));
    }
    return devices;
  }

  health(nowMs: number): SourceHealth {
    return {
      source: this.source,
      ageMs: this.#lastGoodMs === null ? null : Math.max(0, nowMs - this.#lastGoodMs),
      errors: this.#errors,
      lastError: this.#lastError,
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    this.#child?.kill('stopped');
    // A child in uninterruptible sleep outlives SIGKILL; the agent's end must not wait for it.
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, STOP_PATIENCE_MS)));
    await Promise.race([this.#running, patience]);
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    // Loading it takes a quarter of a second and more: only where it is used.
    const { execa } = await import('execa');
    let pauseMs = this.#backOffMs[0];
    while (!this.#isStopped) {
      const startedMs = this.#clock();
      this.#fault = null;
      const listing: string[] = [];
      const list = await this.#spawn(execa, ['-L'], (line) => {
        if (line !== null && listing.length < 1024) listing.push(line);
      });
      if (this.#isStopped) return;
      this.#listed = parseDeviceList(listing.join('\n'));
      for (const line of listing) this.#fault ??= toFault(line);
      // A program that cannot list may still answer a query; one that cannot start, or hangs, will not.
      const isUsable = list.kind === 'exit' && (list.code === 0 || this.#fault === null);
      const end = isUsable ? await this.#sample(execa) : list;
      if (this.#isStopped) return;
      this.#fail(this.#explain(end));
      const didWork = this.#lastGoodMs !== null && this.#lastGoodMs >= startedMs;
      pauseMs = didWork ? this.#backOffMs[0] : Math.min(this.#backOffMs[1], pauseMs);
      await this.#pause(pauseMs);
      pauseMs = Math.min(this.#backOffMs[1], pauseMs * 2);
    }
  }

  #sample(execa: Parameters<typeof startChild>[0]): Promise<ChildEnd> {
    this.#fault = null;
    const args = [
      `--query-gpu=${this.#fields.join(',')}`,
      '--format=csv,noheader,nounits',
      '-lms',
      String(this.#intervalMs),
    ];
    return this.#spawn(execa, args, (line) => this.#take(line));
  }

  async #spawn(
    execa: Parameters<typeof startChild>[0],
    args: readonly string[],
    onLine: (line: string | null) => void,
  ): Promise<ChildEnd> {
    try {
      this.#child = startChild(execa, {
        path: this.#options.path,
        args,
        clock: this.#clock,
        silenceMs: this.#options.silenceMs ?? Math.max(10_000, 10 * this.#intervalMs),
        floodBytes: FLOOD_BYTES,
        onLine,
      });
      return await this.#child.ended;
    } catch (error) {
      return { kind: 'not-started', reason: toMessage(error) };
    } finally {
      this.#child = null;
    }
  }

  #take(line: string | null): void {
    const nowMs = this.#clock();
    const keepEveryMs = this.#options.keepEveryMs?.() ?? 0;
    // Thinning: the rows of one interval are taken together, then none until the next is due.
    if (keepEveryMs > this.#intervalMs && line !== null && /^\d/.test(line)) {
      const dueMs = this.#takeUntilMs + keepEveryMs - this.#intervalMs;
      if (nowMs > this.#takeUntilMs && nowMs < dueMs) return;
      if (nowMs >= dueMs) this.#takeUntilMs = nowMs + this.#intervalMs / 2;
    }
    const parsed = line === null ? ({ kind: 'garbage' } as const) : parseCsvLine(line, this.#fields);
    switch (parsed.kind) {
      case 'row':
        this.#rows.set(parsed.device.uuid, { device: parsed.device, isMig: parsed.isMig, atMs: nowMs });
        this.#lastGoodMs = nowMs;
        this.#options.onReading?.();
        return;
      case 'error':
        this.#fault = parsed.fault;
        if (parsed.fault.isPartial) this.#fail(this.#toSentence(parsed.fault));
        return;
      case 'garbage':
        this.#fail(
          `a line that is no row: ${line === null ? 'longer than 4096 characters' : JSON.stringify(line.slice(0, 80))}`,
        );
        return;
      case 'noise':
        return;
    }
  }

  #explain(end: ChildEnd): string {
    const { path } = this.#options;
    const fault = this.#fault;
    if (fault?.unknownField != null) {
      this.#fields = this.#fields.filter((field) => field !== fault.unknownField);
      return this.#toSentence(fault);
    }
    switch (end.kind) {
      case 'not-started':
        return `${path} did not start: ${toStartSentence(end.reason)}`;
      case 'killed':
        return `${path} was ended: ${end.why}`;
      case 'exit':
        return fault === null ? `${path} ended: ${toExitSentence(end.code)}` : this.#toSentence(fault);
    }
  }

  #toSentence(fault: NvidiaSmiFault): string {
    return `${fault.message} (${fault.remedy})`;
  }

  #fail(sentence: string): void {
    this.#errors += 1;
    this.#lastError = sentence;
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}

function toStartSentence(code: string): string {
  switch (code) {
    case 'ENOENT':
      return 'no such file; mount it or set telemetry.nvidiaSmi';
    case 'EACCES':
      return 'it may not be executed';
    default:
      return code;
  }
}
