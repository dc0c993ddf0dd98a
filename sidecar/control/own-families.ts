// Metrics of the agent's own state: the way to the model server, its processes, its memory.
import type { RestartCounts } from '../../src/core/processes.ts';
import type { Family, Sample } from './family.ts';

/** What they are read from at every scrape. */
export interface OwnReadings {
  readonly upstream: () => UpstreamReading;
  /** Null without a supervisor. */
  readonly restarts: () => RestartCounts | null;
  /** Share of the memory limit in use, 0..1; null while not read. */
  readonly memoryRatio: () => number | null;
}

/** The way to the model server. */
interface UpstreamReading {
  readonly isDown: boolean;
  /** Second tries, and those beyond the budget. */
  readonly retries: Readonly<Record<'made' | 'refused', number>>;
}

export function ownFamilies(deps: OwnReadings): Family[] {
  const counter = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'counter', help, read });
  const gauge = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'gauge', help, read });
  const single = (value: number | null): Sample[] => (value === null ? [] : [{ labels: {}, value }]);
  return [
    gauge('morphling_upstream_up', '0 while the model server takes no connections and callers are told at once.', () =>
      single(Number(!deps.upstream().isDown)),
    ),
    counter('morphling_upstream_retries', 'Calls tried again because nothing was sent; refused: over the budget.', () =>
      Object.entries(deps.upstream().retries).map(([result, value]) => ({ labels: { result }, value })),
    ),
    counter('morphling_process_restarts', 'Processes of the agent that had to be started again, by why.', () =>
      Object.entries(deps.restarts() ?? {}).flatMap(([process, reasons]) =>
        Object.entries(reasons).map(([reason, value]) => ({ labels: { process, reason }, value })),
      ),
    ),
    gauge(
      'morphling_memory_pressure_ratio',
      'Memory in use of the limit of heap or container, whichever is nearer.',
      () => single(deps.memoryRatio()),
    ),
  ];
}
