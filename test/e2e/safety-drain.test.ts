// T6: rolling restarts behind a balancer that is late: it goes on sending for a while after readiness has flipped. With
// the delays of the defaults (5 s) at scale 1, a fifth of them otherwise. Nothing may fail, streams of events included.
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startUpstreamProcess } from '../safety/upstream-start.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { printFigure, readScale, scaled } from '../support/scale.ts';
import { findFreePorts } from '../support/servers/ports.ts';
import { runLoad, type Sent } from '../support/soak-load.ts';
import { connectWire, toPredict, toRequest } from '../support/wire-client.ts';
import { statusOf } from '../support/wire-parser.ts';
import { answerEcho, startRecorder } from '../support/wire-recorder.ts';

const SCALE = readScale(0.3);
const RATE_PER_S = 200;
const RESTARTS = scaled(20, SCALE);
const DELAY_MS = SCALE >= 1 ? 5_000 : 1_000;
/** The balancer hears of it so late: 3 of the 5 seconds. */
const LAG_MS = 0.6 * DELAY_MS;
const EVENTS = 20;
const EVENT_MS = SCALE >= 1 ? 500 : 100;
const STREAMS = 5;
const DRAIN = { delayMs: DELAY_MS, timeoutMs: 2 * EVENTS * EVENT_MS };

/** The pods that a late balancer knows, in turn. */
class Balancer {
  #ports: number[] = [];
  #turn = 0;

  add(port: number): void {
    this.#ports.push(port);
  }

  remove(port: number): void {
    this.#ports = this.#ports.filter((one) => one !== port);
  }

  next(): number {
    this.#turn += 1;
    return this.#ports[this.#turn % this.#ports.length]!;
  }
}

/** Load and streams through a balancer until told to stop; gives what went wrong. */
function startTraffic(balancer: Balancer): {
  stop(): Promise<{ sent: Sent[]; bad: string[]; streams: number; cut: string[] }>;
} {
  const sent: Sent[] = [];
  const cut: string[] = [];
  let streams = 0;
  let isOver = false;
  const load = runLoad({
    ratePerS: RATE_PER_S,
    next: (index) => (isOver ? null : { port: balancer.next(), bytes: toPredict([`item-${index}`]) }),
    done: (one) => sent.push(one),
    timeoutMs: 10_000,
  });
  const stream = async (): Promise<void> => {
    for (;;) {
      if (isOver) return;
      const client = await connectWire(balancer.next());
      client.write(toRequest('GET', '/events', null));
      const answer = await client.next(4 * EVENTS * EVENT_MS).catch(() => null);
      const events = answer?.body.toString().match(/^data: /gm)?.length ?? 0;
      streams += 1;
      if (events !== EVENTS) cut.push(`${events} of ${EVENTS} events, ${client.fault ?? 'no fault'}`);
      client.destroy();
    }
  };
  const all = Promise.all([load, ...Array.from({ length: STREAMS }, stream)]);
  return {
    async stop() {
      isOver = true;
      await all;
      const isGood = ({ index, answer }: Sent): boolean =>
        answer !== null && statusOf(answer) === 200 && answer.body.toString() === `{"predictions":["item-${index}"]}`;
      const bad = sent
        .filter((one) => !isGood(one))
        .map(({ index, why, answer }) => `${index}: ${why} ${answer?.start ?? ''}`);
      return { sent, bad, streams, cut };
    },
  };
}

async function isReady(agent: AgentProcess): Promise<boolean> {
  return fetch(`http://127.0.0.1:${agent.controlPort}/ready`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function untilReady(agent: AgentProcess, wanted: boolean): Promise<number> {
  const startMs = performance.now();
  while ((await isReady(agent)) !== wanted) {
    if (performance.now() - startMs > 10_000) throw new Error(`not ${wanted ? 'ready' : 'unready'} within 10 s`);
    await sleep(20);
  }
  return performance.now() - startMs;
}

test('rolling restarts of the agent lose no request and cut no stream', { timeout: 600_000 }, async () => {
  const recorder = await startRecorder({
    request(seen) {
      if (seen.target !== '/events') return void setTimeout(() => answerEcho(seen), 3);
      const { socket } = seen.link;
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      let events = 0;
      const timer = setInterval(() => {
        events += 1;
        const text = `data: ${events}\n\n`;
        socket.write(`${text.length.toString(16)}\r\n${text}\r\n${events === EVENTS ? '0\r\n\r\n' : ''}`);
        if (events === EVENTS || socket.destroyed) clearInterval(timer);
      }, EVENT_MS);
    },
  });
  const balancer = new Balancer();
  const agents: AgentProcess[] = [];
  onTestFinished(async () => {
    for (const agent of agents) await agent.stop('SIGKILL');
    await recorder.close();
  });
  const add = async (): Promise<void> => {
    const agent = await startAgent(recorder.origin, { drain: DRAIN });
    await untilReady(agent, true);
    balancer.add(agent.port);
    agents.push(agent);
  };
  await add();
  await add();
  const traffic = startTraffic(balancer);
  const codes: (number | null)[] = [];
  const flipsMs: number[] = [];
  for (let restart = 0; restart < RESTARTS; restart++) {
    await add();
    const old = agents.shift()!;
    const ended = old.stop();
    // The balancer looks at readiness like a kubelet, and hears of it late.
    flipsMs.push(await untilReady(old, false));
    await sleep(LAG_MS);
    balancer.remove(old.port);
    codes.push(await ended);
  }
  const { sent, bad, streams, cut } = await traffic.stop();
  printFigure('T6 rolling drain', {
    scale: SCALE,
    restarts: RESTARTS,
    'drain delay': `${DELAY_MS} ms`,
    'balancer late by': `${LAG_MS} ms`,
    requests: sent.length,
    failed: bad.length,
    streams,
    cut: cut.length,
    'readiness flipped within': `${Math.max(...flipsMs).toFixed(0)} ms`,
  });
  expect(bad.slice(0, 10)).toEqual([]);
  expect(cut.slice(0, 10)).toEqual([]);
  expect(codes).toEqual(codes.map(() => 0));
  expect(streams).toBeGreaterThan(RESTARTS);
});

test(
  'as a native sidecar: the model server goes first, by a preStop sleep, the agent after it',
  { timeout: 600_000 },
  async () => {
    const balancer = new Balancer();
    const pods: { agent: AgentProcess; model: ChildProcess }[] = [];
    onTestFinished(async () => {
      for (const { agent, model } of pods) {
        await agent.stop('SIGKILL');
        model.kill('SIGKILL');
      }
    });
    const add = async (): Promise<void> => {
      const [port = 0] = await findFreePorts(1);
      const model = await startUpstreamProcess(port, '/dev/null', { latencyMs: 5, drainMs: DELAY_MS });
      const agent = await startAgent(`http://127.0.0.1:${port}`, { drain: DRAIN });
      await untilReady(agent, true);
      balancer.add(agent.port);
      pods.push({ agent, model });
    };
    await add();
    await add();
    const sent: Sent[] = [];
    let isOver = false;
    const load = runLoad({
      ratePerS: RATE_PER_S,
      next: (index) => (isOver ? null : { port: balancer.next(), bytes: toPredict([`item-${index}`]) }),
      done: (one) => sent.push(one),
      timeoutMs: 10_000,
    });
    const restarts = Math.max(2, Math.ceil(RESTARTS / 4));
    for (let restart = 0; restart < restarts; restart++) {
      await add();
      const { agent, model } = pods.shift()!;
      // The pod is deleted: endpoints change, and the model server is told to stop; the agent hears nothing yet.
      const modelEnded = new Promise((resolve) => model.once('exit', resolve));
      model.kill('SIGTERM');
      await sleep(LAG_MS);
      balancer.remove(agent.port);
      await modelEnded;
      expect(await agent.stop()).toBe(0);
    }
    isOver = true;
    await load;
    const bad = sent.filter(({ index, answer }) => answer?.body.toString() !== `{"predictions":["item-${index}"]}`);
    printFigure('T6 model first', { scale: SCALE, restarts, requests: sent.length, failed: bad.length });
    for (const { agent, model } of pods) {
      await agent.stop('SIGKILL');
      model.kill('SIGKILL');
    }
    expect(bad.map(({ index, why, answer }) => `${index}: ${why} ${answer?.start ?? ''}`)).toEqual([]);
  },
);
