// `GET /metrics` of the data port: the engine's own page with what waits here added to its queue, where endpoint
// pickers read it. Without an engine's page the request goes on to the model server as any other.
import type { AgentConfig } from '../../src/core/agent-config.ts';
import { toEnginePageUrls } from '../../src/telemetry/engine/engine.ts';
import { createPageFetcher } from '../../src/telemetry/engine/page.ts';
import { overlayQueue } from '../../src/telemetry/engine/queue-overlay.ts';
import type { LaneStatus } from '../proxy/load.ts';

const TIMEOUT_MS = 1_000;

/** The page, or null when there is none. The page that answered last is asked first. */
export function createEnginePage(
  config: AgentConfig,
  lanes: () => readonly LaneStatus[],
): (() => Promise<Buffer | null>) | undefined {
  const urls = toEnginePageUrls(config.upstream, config.engineMetrics);
  if (urls.length === 0) return undefined;
  const pages = createPageFetcher(TIMEOUT_MS);
  let known: string | null = null;
  return async () => {
    for (const url of known === null ? urls : [known, ...urls.filter((one) => one !== known)]) {
      try {
        const page = await pages.fetchBytes(url);
        known = url;
        return overlayQueue(page, new Map(lanes().map(({ model, queueDepth }) => [model, queueDepth])));
      } catch {
        // The next candidate; with none left the caller is served by the model server itself.
        known = null;
      }
    }
    return null;
  };
}
