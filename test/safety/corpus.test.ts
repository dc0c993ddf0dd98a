// The request corpus at unit speed: every case once against the proxy in this process, and a few mutations. The whole,
// with every cut and ten thousand mutations against the real agent, is test/e2e/safety-corpus.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATHS, toBytes } from '../support/corpus/case.ts';
import { allCases } from '../support/corpus/cases.ts';
import { mutatedShots } from '../support/corpus/mutate.ts';
import { runShots, toShot } from '../support/corpus/run.ts';
import { startProxyBench, type ProxyBench } from '../support/peers/proxy-bench.ts';
import { printFigure } from '../support/scale.ts';
import { parseRequests } from '../support/wire-parser.ts';
import { startRecorder, type WireRecorder } from '../support/wire-recorder.ts';

const CASES = allCases();

describe('the corpus', () => {
  test('is large, without doubles, and strong where the classics are', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(400);
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
    expect(CASES.filter(({ group }) => group === 'coding and length').length).toBeGreaterThanOrEqual(100);
    expect(CASES.filter(({ raw }) => raw.includes('/smuggled')).length).toBeGreaterThanOrEqual(100);
  });

  test('means what our own reading of its bytes says', () => {
    for (const one of CASES) {
      const { requests, fault } = parseRequests(toBytes(one, PATHS.batched, 'c'));
      // A request that must pass is one to us too; one we cannot read must never be bound to pass.
      if (one.verdicts[0] === 'ok') expect([one.name, requests.length >= one.passed.length]).toEqual([one.name, true]);
      if (one.verdicts[0] === 'wait') expect([one.name, fault, requests.length]).toEqual([one.name, null, 0]);
    }
  });
});

describe('the proxy', () => {
  let recorder: WireRecorder;
  let bench: ProxyBench;
  beforeAll(async () => {
    recorder = await startRecorder();
    bench = await startProxyBench(recorder.origin);
  });
  afterAll(async () => {
    await bench.close();
    await recorder.close();
  });

  test.each(Object.entries(PATHS))('ends every case as it should on a %s path', async (kind, path) => {
    const shots = CASES.map((one) => toShot(one, path));
    const tally = await runShots({ port: bench.port, recorder, parallel: 200 }, shots);
    printFigure(`corpus in process, ${kind}`, {
      cases: tally.shots,
      good: tally.goodRequests,
      wrong: tally.faults.length,
    });
    expect(tally.faults).toEqual([]);
    expect(tally.shots).toBe(CASES.length);
  });

  test('passes nothing of mutated cases but what they hold', async () => {
    const tally = await runShots({ port: bench.port, recorder, parallel: 200 }, mutatedShots(7, 400));
    printFigure('mutations in process', { mutations: tally.shots, wrong: tally.faults.length });
    expect(tally.faults).toEqual([]);
  });
});
