// Bad answers of the model server, at unit speed: each once, streamed to its caller. Met alone and by joined calls, and
// against the real agent, in test/e2e/safety-answers.test.ts.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { badAnswers } from '../support/corpus/answers.ts';
import { runAnswers } from '../support/corpus/run-answers.ts';
import { startProxyBench, toTestConfig, type ProxyBench } from '../support/peers/proxy-bench.ts';
import { printFigure } from '../support/scale.ts';
import { startRecorder, type WireRecorder } from '../support/wire-recorder.ts';

const TIMEOUT_MS = 1_000;
/** The slow ones wait for the timeout; they are run end to end. */
const ANSWERS = badAnswers().filter(({ group }) => group !== 'slow' && group !== 'interim');

let recorder: WireRecorder;
let bench: ProxyBench;

beforeAll(async () => {
  recorder = await startRecorder();
  const limits = { ...toTestConfig(recorder.origin).limits, upstreamTimeoutMs: TIMEOUT_MS };
  bench = await startProxyBench(recorder.origin, { limits });
});
afterAll(async () => {
  await bench.close();
  await recorder.close();
});

test('there are enough of them, without doubles', () => {
  const all = badAnswers();
  expect(all.length).toBeGreaterThanOrEqual(85);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});

test('each ends in an error or a clean cut, and its connection with it', async () => {
  const tally = await runAnswers(bench.port, recorder, ANSWERS, 'streamed', TIMEOUT_MS, 32);
  printFigure('bad answers in process', { answers: tally.asked, ...tally.verdicts, wrong: tally.faults.length });
  expect(tally.faults).toEqual([]);
});
