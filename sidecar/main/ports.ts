// The two small ports beside the traffic: control on loopback, metrics for the scraper. Neither may harm the data path:
// one that cannot be bound is tried again, and the proxy serves on.
import type { AgentConfig } from '../../src/core/agent-config.ts';
import { toMessage } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';
import type { ControlDeps } from '../control/deps.ts';
import { createControlApp } from '../control/http.ts';
import { listen, type Listening } from '../control/listen.ts';
import { createMetricsApp } from '../control/metrics-http.ts';
import type { Metrics } from '../control/metrics.ts';

const RETRY_MS = 2_000;

/** Resolves after the first try of each; `close` ends both. */
export async function openPorts(
  config: AgentConfig,
  deps: ControlDeps,
  metrics: Metrics,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  const opened: Listening[] = [];
  let isClosed = false;
  const open = async (name: string, ...[app, address]: Parameters<typeof listen>): Promise<void> => {
    try {
      const listening = await listen(app, address);
      opened.push(listening);
      if (isClosed) await listening.close();
      else log.info(`${name} port is open`, { ...listening.address });
    } catch (error) {
      log.error(`${name} port cannot be opened; trying again`, { error: toMessage(error) });
      setTimeout(() => {
        if (!isClosed) void open(name, app, address);
      }, RETRY_MS).unref();
    }
  };
  await Promise.all([
    open('control', createControlApp(deps), config.control),
    open('metrics', createMetricsApp({ metrics, readiness: deps.readiness }), config.metrics),
  ]);
  return {
    async close() {
      isClosed = true;
      await Promise.all(opened.map((listening) => listening.close()));
    },
  };
}
