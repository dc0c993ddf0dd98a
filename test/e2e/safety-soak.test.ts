// T10: mixed load for MORPHLING_SOAK_SECONDS (60), 500 requests a second at most, with settings changed every two
// seconds. The fit begins after two minutes, or in the middle of a shorter run.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { printFigure } from '../support/scale.ts';
import { fitSlope, runSoak, soakScript } from '../support/soak.ts';
import { createLooks } from '../support/soak-look.ts';
import { startRecorder, type WireRecorder } from '../support/wire-recorder.ts';

const SECONDS = Number(process.env['MORPHLING_SOAK_SECONDS'] ?? 60);
const RATE_PER_S = Number(process.env['MORPHLING_SOAK_RATE'] ?? 300);
const FIT_FROM_S = Math.min(120, SECONDS / 2);
const FULL_SECONDS = 600;
/** Shorter runs see the start only. */
const SETTLED_SECONDS = 180;
const MIB = 2 ** 20;
const SLOPE_MAX_MIB = 1;

const looks = createLooks();
let recorder: WireRecorder;
let agent: AgentProcess;

beforeAll(async () => {
  recorder = await startRecorder(soakScript);
  agent = await startAgent(recorder.origin, {}, looks.env);
});
afterAll(async () => {
  expect(await agent.stop()).toBe(0);
  await recorder.close();
});

/** Growth in MiB per ten minutes, with its standard error, after the first part. */
function toSlope(points: readonly { readonly atS: number; readonly bytes: number | null }[]): {
  slope: number;
  error: number;
} {
  return fitSlope(
    points.flatMap(({ atS, bytes }): [number, number][] =>
      bytes === null || atS < FIT_FROM_S ? [] : [[atS / 600, bytes / MIB]],
    ),
  );
}

test('the agent neither grows nor slows', { timeout: (SECONDS + 120) * 1000 }, async () => {
  const pid = agent.pidOf('data');
  const result = await runSoak(agent, looks, { seconds: SECONDS, ratePerS: RATE_PER_S, seed: 20_261_124 });
  const { before, after, samples } = result;
  const inUse = {
    data: toSlope(result.inUse.map(({ atS, dataBytes: bytes }) => ({ atS, bytes }))),
    supervisor: toSlope(result.inUse.map(({ atS, supervisorBytes: bytes }) => ({ atS, bytes }))),
  };
  const resident = {
    data: toSlope(samples.map(({ atS, dataBytes: bytes }) => ({ atS, bytes }))),
    supervisor: toSlope(samples.map(({ atS, supervisorBytes: bytes }) => ({ atS, bytes }))),
    mind: toSlope(samples.map(({ atS, mindBytes: bytes }) => ({ atS, bytes }))),
  };
  const write = ({ slope, error }: { slope: number; error: number }): string =>
    `${slope.toFixed(2)} ± ${error.toFixed(2)}`;
  const last = samples.at(-1);
  const heapRatio = after.probe.heapUsedBytes / before.probe.heapUsedBytes;
  printFigure('T10 soak', {
    'of the full run': `${SECONDS} of ${FULL_SECONDS} s`,
    rate: RATE_PER_S,
    requests: result.sent,
    ends: JSON.stringify(result.ends),
    wrong: result.wrong.length,
    'settings changed': result.settingsChanges,
    'PSS data/supervisor/mind MiB': [last?.dataBytes, last?.supervisorBytes, last?.mindBytes]
      .map((bytes) => ((bytes ?? 0) / MIB).toFixed(1))
      .join('/'),
    'slope in use, MiB per 10 min': `data ${write(inUse.data)}, supervisor ${write(inUse.supervisor)}`,
    'slope of PSS': `data ${write(resident.data)}, supervisor ${write(resident.supervisor)}, mind ${write(resident.mind)}`,
    'heap at rest MiB': `${(before.probe.heapUsedBytes / MIB).toFixed(2)} then ${(after.probe.heapUsedBytes / MIB).toFixed(2)}`,
    'fds at rest': `${before.fds} then ${after.fds}`,
    resources: `${JSON.stringify(before.probe.resources)} then ${JSON.stringify(after.probe.resources)}`,
    series: `${before.series} then ${after.series}`,
    'loop delay p99 ms': result.loopDelayP99Ms.map((ms) => ms.toFixed(0)).join('/'),
    'log lines': result.logLines,
  });
  expect(result.wrong.slice(0, 10)).toEqual([]);
  expect(agent.pidOf('data')).toBe(pid);
  expect(result.settingsChanges).toBeGreaterThan(SECONDS / 10);
  // A leak is what the noise of so short a run cannot explain: more than the bar by two errors. In the first minutes
  // windows, trials and caches fill to their bounds, which is growth but no leak.
  if (SECONDS >= SETTLED_SECONDS)
    for (const { slope, error } of Object.values(inUse)) expect(slope - 2 * error).toBeLessThan(SLOPE_MAX_MIB);
  // Resident memory grows until the first large collections, minutes after the start: only a full run can judge it.
  if (SECONDS >= FULL_SECONDS)
    for (const { slope, error } of Object.values(resident)) expect(slope - 2 * error).toBeLessThan(SLOPE_MAX_MIB);
  expect(heapRatio).toBeLessThan(SECONDS >= SETTLED_SECONDS ? 1.05 : 1.5);
  expect(Math.abs(after.fds - before.fds)).toBeLessThanOrEqual(5);
  for (const [kind, count] of Object.entries(after.probe.resources))
    expect([kind, count - (before.probe.resources[kind] ?? 0) <= 5]).toEqual([kind, true]);
  // Rare ends show up late, each with its labels; their number is bounded.
  expect(after.series - before.series).toBeLessThanOrEqual(0.1 * before.series);
  expect(result.logLines).toBeLessThan(2 * SECONDS);
});
