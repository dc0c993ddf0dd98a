// Bad answers of the model server against the agent as it runs in a pod: streamed, alone on a batched path, and met by
// three callers joined in one call. The caller gets 502, 503, 504 or a clean cut, never another's bytes.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { badAnswers, type BadAnswer } from '../support/corpus/answers.ts';
import { runAnswers, type Meeting } from '../support/corpus/run-answers.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { toTestConfig } from '../support/peers/proxy-bench.ts';
import { printFigure } from '../support/scale.ts';
import { startRecorder, type WireRecorder } from '../support/wire-recorder.ts';

const TIMEOUT_MS = 1_500;

let recorder: WireRecorder;
let agent: AgentProcess;
let pid: number | null;

beforeEach(async () => {
  recorder = await startRecorder();
  const limits = { ...toTestConfig(recorder.origin).limits, upstreamTimeoutMs: TIMEOUT_MS };
  agent = await startAgent(recorder.origin, { limits });
  pid = agent.pidOf('data');
});
afterEach(async () => {
  expect(await agent.stop()).toBe(0);
  await recorder.close();
});

/** A model that has answered a joined call badly is batched no more, so each needs its own; there are lanes for 100. */
function answersFor(meeting: Meeting): BadAnswer[] {
  const all = badAnswers();
  if (meeting === 'streamed') return all;
  return all.filter(({ method, group }) => method === 'POST' && (meeting === 'alone' || !ALONE_ONLY.has(group)));
}
const ALONE_ONLY = new Set(['sound', 'late']);

test.each(['streamed', 'alone', 'joined'] as const)('met %s, each ends in an error or a clean cut', async (meeting) => {
  const answers = answersFor(meeting);
  const tally = await runAnswers(agent.port, recorder, answers, meeting, TIMEOUT_MS, 24);
  printFigure(`bad answers ${meeting}`, {
    answers: answers.length,
    callers: tally.asked,
    'met by several': tally.joined,
    ...tally.verdicts,
    wrong: tally.faults.length,
  });
  expect(tally.faults).toEqual([]);
  if (meeting === 'joined') expect(tally.joined).toBeGreaterThan(0.7 * answers.length);
  expect(agent.pidOf('data')).toBe(pid);
  expect(agent.logs.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});
