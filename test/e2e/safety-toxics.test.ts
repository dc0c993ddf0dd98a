// T9: eight bad networks between the agent and the model server, under load. Callers with a deadline hear something in
// time, nobody hears another's answer, and two seconds after the network is good again so is everything else.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { toTestConfig } from '../support/peers/proxy-bench.ts';
import { printFigure, readScale, toQuantile } from '../support/scale.ts';
import { runLoad, type Sent } from '../support/soak-load.ts';
import { startToxic, type Toxic, type ToxicProxy } from '../support/toxic.ts';
import { faultOf, toPredict, toRequest } from '../support/wire-client.ts';
import { statusOf } from '../support/wire-parser.ts';
import { answerEcho, startRecorder, toWire, type WireRecorder } from '../support/wire-recorder.ts';

const RATE_PER_S = 100;
const UPSTREAM_TIMEOUT_MS = 1_500;
const DEADLINE_MS = 3_000;
/** What our own side of the clock may add on two busy cores. */
const SLACK_MS = 500;
const RECOVERY_MS = 2_000;
const BAD_MS = readScale() >= 1 ? 10_000 : 2_500;

const TOXICS: Readonly<Record<string, Toxic>> = {
  'latency of 250 ms': { latencyMs: 250 },
  'jitter up to 250 ms': { jitterMs: 250 },
  '64 KB/s': { bytesPerS: 64_000 },
  'reset after 2000 bytes': { resetAfterBytes: 2_000 },
  'slices of 7 bytes': { sliceBytes: 7 },
  'answers that never come': { drops: 'answers' },
  'a black hole': { drops: 'all' },
  'a slow close': { slowCloseMs: 700 },
};

let recorder: WireRecorder;
let network: ToxicProxy;
let agent: AgentProcess;
let pid: number | null;

beforeAll(async () => {
  recorder = await startRecorder({
    request(seen) {
      // Each twentieth answer is the last on its connection, so that there are closes to be slow about.
      if (seen.link.requests % 20 !== 0) return answerEcho(seen);
      const { instances } = JSON.parse(seen.body.toString() || '{}') as { instances?: unknown };
      seen.link.socket.end(toWire(JSON.stringify({ predictions: instances }), '200 OK', ['connection: close']));
    },
  });
  network = await startToxic(recorder.port);
  const limits = { ...toTestConfig('').limits, upstreamTimeoutMs: UPSTREAM_TIMEOUT_MS };
  agent = await startAgent(network.origin, { limits });
  pid = agent.pidOf('data');
});
afterAll(async () => {
  expect(await agent.stop()).toBe(0);
  await network.close();
  await recorder.close();
});

function isGood({ index, answer }: Sent): boolean {
  return (
    answer !== null && statusOf(answer) === 200 && answer.body.toString().startsWith(`{"predictions":["item-${index}-`)
  );
}

test.each(Object.entries(TOXICS))('%s', async (name, toxic) => {
  const padding = 'x'.repeat(1_000);
  const sent: Sent[] = [];
  let isOver = false;
  const load = runLoad({
    ratePerS: RATE_PER_S,
    next(index) {
      if (isOver) return null;
      const item = `item-${index}-${padding}`;
      const deadline = [`x-request-timeout-ms: ${DEADLINE_MS}`];
      const model = `m${index % 2}`;
      // A third of them streamed, on a path of no known protocol.
      if (index % 3 !== 0) return { port: agent.port, bytes: toPredict([item], deadline, model) };
      return { port: agent.port, bytes: toRequest('POST', '/v1/raw', JSON.stringify({ instances: [item] }), deadline) };
    },
    done: (one) => sent.push(one),
    timeoutMs: 20_000,
  });
  await sleep(500);
  const badMs = performance.now();
  network.toxic = toxic;
  await sleep(BAD_MS);
  network.toxic = {};
  const goodMs = performance.now();
  await sleep(RECOVERY_MS + 1_500);
  isOver = true;
  await load;

  const during = sent.filter(({ sentMs }) => sentMs > badMs && sentMs < goodMs);
  const failed = sent.filter((one) => !isGood(one));
  const lateMs = Math.max(...sent.map(({ sentMs, endedMs }) => endedMs - sentMs));
  const lastBadMs = Math.max(0, ...failed.map(({ sentMs }) => sentMs - goodMs));
  const isExplained = ({ answer, why }: Sent): boolean =>
    answer === null ? why === 'cut' : [502, 503, 504].includes(statusOf(answer)) && faultOf(answer) !== null;
  printFigure(`T9 ${name}`, {
    requests: sent.length,
    'good under it': `${during.filter(isGood).length} of ${during.length}`,
    failed: failed.length,
    'p50 under it': `${toQuantile(
      during.map(({ sentMs, endedMs }) => endedMs - sentMs),
      0.5,
    ).toFixed(0)} ms`,
    longest: `${lateMs.toFixed(0)} ms`,
    'last failure sent after it ended': `${lastBadMs.toFixed(0)} ms`,
  });
  expect(failed.filter((one) => !isExplained(one)).map(({ why, answer }) => [why, answer?.start])).toEqual([]);
  expect(lateMs).toBeLessThan(DEADLINE_MS + SLACK_MS);
  expect(lastBadMs).toBeLessThan(RECOVERY_MS);
  expect(failed.filter(({ endedMs }) => endedMs < badMs)).toEqual([]);
  expect(agent.pidOf('data')).toBe(pid);
  expect(recorder.smuggled).toEqual([]);
});
