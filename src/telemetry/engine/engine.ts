// Reads the engine's own metrics page again and again.
import type { EngineReading, SourceHealth } from '../../core/snapshot.ts';
import { MorphlingError } from '../../core/errors.ts';
import { Poller } from '../poller.ts';
import { parseEnginePage, toEngineReading, type EnginePage } from './engine-page.ts';
import { createPageFetcher } from './page.ts';

export interface EngineOptions {
  /** Pages to try in order until one is an engine's; that one is kept until it fails. */
  readonly urls: readonly string[];
  readonly intervalMs: () => number;
  readonly timeoutMs?: number;
  readonly clock?: () => number;
}

export interface EngineSource {
  start(): void;
  /** The newest; null before the first page that was understood, and while the page cannot be read. */
  reading(): EngineReading | null;
  health(nowMs: number): SourceHealth;
  stop(): Promise<void>;
}

/** Where each engine has its page: on the upstream's own port, Triton on 8002, MLServer on 8082. */
export function toEnginePageUrls(upstream: string, engineMetrics: string): string[] {
  if (engineMetrics === 'off') return [];
  if (engineMetrics !== 'auto') return [engineMetrics];
  return ['', '8002', '8082'].map((port) => {
    const url = new URL('/metrics', upstream);
    if (port !== '') url.port = port;
    return url.href;
  });
}

export function createEngine(options: EngineOptions): EngineSource {
  const pages = createPageFetcher(options.timeoutMs);
  let known: string | null = null;
  let before: EnginePage | null = null;
  let reading: EngineReading | null = null;

  const read = async (url: string): Promise<boolean> => {
    const page = parseEnginePage(await pages.fetch(url));
    if (page.engine === 'unknown') return false;
    reading = toEngineReading(page, before);
    before = page;
    known = url;
    return true;
  };
  const find = async (): Promise<void> => {
    const reasons: string[] = [];
    for (const url of options.urls)
      try {
        if (await read(url)) return;
        reasons.push(`${url}: a page, but of no engine that is known`);
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    throw new MorphlingError('BAD_RESPONSE', `no engine metrics: ${reasons.join('; ')}`);
  };
  const poller = new Poller({
    source: 'engine',
    intervalMs: options.intervalMs,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    async poll() {
      try {
        if (known === null || !(await read(known))) await find();
      } catch (error) {
        // Figures of a page that is gone must not pass for the present.
        known = null;
        reading = null;
        throw error;
      }
    },
  });
  return {
    start() {
      if (options.urls.length > 0) poller.start();
    },
    reading: () => reading,
    health: (nowMs) => poller.health(nowMs),
    async stop() {
      const stopped = poller.stop();
      await pages.close();
      await stopped;
    },
  };
}
