// Rolling restarts behind a balancer that hears late of everything: no request fails, no stream is cut.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBalancer, type Balancer } from '../support/balancer.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { ask } from '../support/peers/http-ask.ts';
import { predictOne, startModelProcess, type ModelProcess } from '../support/peers/model-process.ts';
import { printFigure, readScale, scaled } from '../support/scale.ts';
import { startTraffic } from '../support/traffic.ts';

const scale = readScale();
/** At full size the figures of a cluster; else half a second for each of its seconds. */
const isFull = scale === 1;
const LAG_MS = isFull ? 3_000 : 1_500;
const DRAIN = isFull ? { delayMs: 5_000, timeoutMs: 15_000 } : { delayMs: 2_500, timeoutMs: 7_500 };
const STREAM_MS = isFull ? 10_000 : 5_000;
const RATE_PER_S = 200;

let balancer: Balancer;
beforeAll(async () => {
  balancer = await startBalancer();
});
afterAll(() => balancer.close());

/** Opens a stream every second for as long as it is on; counts those that were not whole. */
function startStreams(): { stop(): Promise<{ streams: number; cut: number }> } {
  let isOn = true;
  const open: Promise<boolean>[] = [];
  const running = (async () => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- `stop` turns it off
    while (isOn) {
      const stream = ask(balancer.port, { method: 'GET', path: `/events?ms=${STREAM_MS}` });
      open.push(
        stream.then(
          ({ status, body }) => status === 200 && body.toString().endsWith('data: end\n\n'),
          () => false,
        ),
      );
      await sleep(1000);
    }
  })();
  return {
    async stop() {
      isOn = false;
      await running;
      const whole = await Promise.all(open);
      return { streams: whole.length, cut: whole.filter((isWhole) => !isWhole).length };
    },
  };
}

test('an agent that gets SIGTERM: new ones are taken until the balancer knows, and what runs ends', async () => {
  const restarts = scaled(20, scale);
  const model = await startModelProcess(2, 0.1);
  let current = await startAgent(model.origin, { drain: DRAIN });
  balancer.add(current.port);
  const traffic = startTraffic(balancer.port, RATE_PER_S, (n) => predictOne(`d${n}`));
  const streams = startStreams();
  const exits: Promise<number | null>[] = [];
  for (let i = 0; i < restarts; i++) {
    const next = await startAgent(model.origin, { drain: DRAIN });
    balancer.add(next.port);
    await sleep(300);
    exits.push(current.stop());
    await sleep(LAG_MS);
    balancer.remove(current.port);
    current = next;
  }
  const { streams: opened, cut } = await streams.stop();
  const ended = await traffic.stop();
  balancer.remove(current.port);
  exits.push(current.stop());
  const codes = await Promise.all(exits);
  await model.close();
  const failed = ended.filter(({ status }) => status !== 200);
  printFigure('drain', {
    'restarts (of 20)': restarts,
    requests: ended.length,
    failed: failed.length,
    streams: opened,
    cut,
  });
  expect(failed).toEqual([]);
  expect(cut).toBe(0);
  expect(codes.filter((code) => code !== 0)).toEqual([]);
});

test('a native sidecar: the model ends first, after its preStop sleep, then the agent is told', async () => {
  const restarts = scaled(20, scale);
  interface Pod {
    readonly model: ModelProcess;
    readonly agent: AgentProcess;
  }
  const startPod = async (): Promise<Pod> => {
    const model = await startModelProcess(2, 0.1);
    const agent = await startAgent(model.origin, { drain: DRAIN });
    balancer.add(agent.port);
    return { model, agent };
  };
  const exits: Promise<number | null>[] = [];
  /** As the kubelet does it; the balancer hears of the deletion late. The preStop sleep covers that and the drain. */
  const deletePod = async ({ model, agent }: Pod): Promise<void> => {
    await sleep(LAG_MS);
    balancer.remove(agent.port);
    await sleep(DRAIN.delayMs - LAG_MS + 300);
    await model.kill();
    exits.push(agent.stop());
    await model.close();
  };
  let current = await startPod();
  const traffic = startTraffic(balancer.port, RATE_PER_S, (n) => predictOne(`p${n}`));
  for (let i = 0; i < restarts; i++) {
    const next = await startPod();
    await sleep(300);
    await deletePod(current);
    current = next;
  }
  const ended = await traffic.stop();
  await deletePod(current);
  const codes = await Promise.all(exits);
  const failed = ended.filter(({ status }) => status !== 200);
  printFigure('drain, model first', { 'restarts (of 20)': restarts, requests: ended.length, failed: failed.length });
  expect(failed).toEqual([]);
  expect(codes.filter((code) => code !== 0)).toEqual([]);
});
