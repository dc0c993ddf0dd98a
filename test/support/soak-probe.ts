// Looks inside a process of the agent while it runs. Loaded by tests through `node --import`, never by production code:
// on SIGUSR2 it collects garbage, then appends one line of JSON to $MORPHLING_TEST_PROBE.<pid>.
import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What one look finds; sizes in bytes, delays in ms since the look before. */
export interface ProbeSample {
  readonly atMs: number;
  /** In use after a full collection. */
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** What keeps the event loop alive, counted by kind. */
  readonly resources: Readonly<Record<string, number>>;
  readonly loopDelayP99Ms: number;
}

const file = process.env['MORPHLING_TEST_PROBE'];
if (file !== undefined) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  process.on('SIGUSR2', () => {
    const loopDelayP99Ms = delay.percentile(99) / 1e6;
    collect();
    collect();
    delay.reset();
    const { heapUsed, external, rss } = process.memoryUsage();
    const resources: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
    const sample: ProbeSample = {
      atMs: Date.now(),
      heapUsedBytes: heapUsed,
      externalBytes: external,
      rssBytes: rss,
      resources,
      loopDelayP99Ms,
    };
    appendFileSync(`${file}.${process.pid}`, `${JSON.stringify(sample)}\n`);
  });
}
