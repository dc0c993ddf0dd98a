// T1: the whole corpus against the agent as it runs in a pod: every case on both paths, every case cut in two at every
// byte, ten thousand seeded mutations. MORPHLING_TEST_SCALE runs a part of the cuts and mutations.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PATHS, toBytes } from '../support/corpus/case.ts';
import { allCases } from '../support/corpus/cases.ts';
import { mutatedShots } from '../support/corpus/mutate.ts';
import { runShots, toShot, type Shot } from '../support/corpus/run.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { readPssBytes } from '../support/process-use.ts';
import { createLooks } from '../support/soak-look.ts';
import { printFigure, readScale, scaled } from '../support/scale.ts';
import { startRecorder, type WireRecorder } from '../support/wire-recorder.ts';

const SCALE = readScale();
const CASES = allCases();
const SEED = 20_261_124;
/** A case longer than this is cut here and there only: a cut inside 16 KiB of one letter says nothing new. */
const EVERY_BYTE_MAX = 700;
/** Not so many that a slow machine's agent has a queue of seconds, and rightly refuses. */
const PARALLEL = 128;
const SAMPLED_CUTS = 25;
const GROWTH_MAX_BYTES = 20 << 20;

let recorder: WireRecorder;
let agent: AgentProcess;
let pid = 0;
const looks = createLooks();
let before = { inUse: 0, pss: 0 };

beforeAll(async () => {
  recorder = await startRecorder();
  agent = await startAgent(recorder.origin, {}, looks.env);
  pid = agent.pidOf('data') ?? 0;
});
afterAll(async () => {
  const code = await agent.stop();
  await recorder.close();
  expect(code).toBe(0);
});

async function run(
  suite: string,
  shots: readonly Shot[],
  figures: Record<string, string | number> = {},
): Promise<void> {
  const startMs = performance.now();
  const tally = await runShots({ port: agent.port, recorder, parallel: PARALLEL }, shots);
  const faultsLogged = agent.logs.filter((line) => /"level":"error"|uncaught|ended/.test(line));
  printFigure(suite, {
    ...figures,
    shots: tally.shots,
    ...tally.kinds,
    'good requests between': tally.goodRequests,
    wrong: tally.faults.length,
    seconds: ((performance.now() - startMs) / 1000).toFixed(1),
  });
  expect(tally.faults.slice(0, 20)).toEqual([]);
  // The same process as before: nothing crashed and came back.
  expect(agent.pidOf('data')).toBe(pid);
  expect(faultsLogged).toEqual([]);
}

test('every case ends as it should', async () => {
  const shots = Object.values(PATHS).flatMap((path) => CASES.map((one) => toShot(one, path)));
  await run('T1 cases', shots, { cases: CASES.length });
  before = await measure();
});

test('however its bytes are cut', { timeout: 600_000 }, async () => {
  const shots: Shot[] = [];
  for (const [i, one] of CASES.entries()) {
    const path = i % 2 === 0 ? PATHS.batched : PATHS.streamed;
    const bytes = toBytes(one, path, 'c00000').length;
    const step = bytes <= EVERY_BYTE_MAX ? 1 : Math.ceil(bytes / SAMPLED_CUTS);
    for (let cutAt = 1; cutAt < bytes; cutAt += step) shots.push(toShot(one, path, cutAt));
  }
  // Every so many-th, so that each case keeps its share.
  const kept = shots.filter((_, i) => Math.floor((i + 1) * SCALE) > Math.floor(i * SCALE));
  await run('T1 cuts', kept, { scale: SCALE, of: shots.length });
});

test('whatever a bit of damage makes of it', { timeout: 600_000 }, async () => {
  const count = scaled(10_000, SCALE);
  await run('T1 mutations', mutatedShots(SEED, count), { scale: SCALE, of: 10_000, seed: SEED });
});

/** Bytes in use after a collection of garbage, and resident. */
async function measure(): Promise<{ inUse: number; pss: number }> {
  const { heapUsedBytes, externalBytes } = await looks.look(pid);
  return { inUse: heapUsedBytes + externalBytes, pss: readPssBytes(pid) ?? 0 };
}

test('and the agent has not grown', async () => {
  const after = await measure();
  const toMib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  printFigure('T1 memory', {
    'in use after the cases': toMib(before.inUse),
    'at the end': toMib(after.inUse),
    'resident after the cases': toMib(before.pss),
    'at the end ': toMib(after.pss),
  });
  expect(after.inUse - before.inUse).toBeLessThan(GROWTH_MAX_BYTES);
});
