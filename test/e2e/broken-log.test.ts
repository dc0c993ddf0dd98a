// The reader of the log is gone (a log agent restarts, a pipe breaks): nobody may notice but those who read logs.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startAgent } from '../support/peers/agent-process.ts';
import { ask } from '../support/peers/http-ask.ts';
import { predictOne, startModelProcess } from '../support/peers/model-process.ts';

/** CPU seconds of a process so far; 100 ticks a second on Linux. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

test('a broken log pipe neither stops an answer nor makes a process spin', async () => {
  await using stack = new AsyncDisposableStack();
  const model = await startModelProcess(1, 0.1);
  stack.defer(() => model.close());
  const agent = await startAgent(model.origin, { logLevel: 'debug' });
  stack.defer(async () => void (await agent.stop('SIGKILL')));
  agent.supervisor.stderr?.destroy();
  // The supervisor has something to say when data ends, and finds that nobody listens.
  process.kill(agent.pidOf('data') ?? 0, 'SIGKILL');
  await expect.poll(() => agent.pidOf('data'), { timeout: 10_000 }).not.toBeNull();
  await expect.poll(async () => (await ask(agent.port, predictOne('a'))).status, { timeout: 10_000 }).toBe(200);
  const pids = [agent.supervisor.pid ?? 0, agent.pidOf('data') ?? 0];
  const before = pids.map(cpuSeconds);
  await sleep(3000);
  const spent = pids.map((pid, index) => cpuSeconds(pid) - (before[index] ?? 0));
  expect(Math.max(...spent), `CPU seconds in 3 s: ${spent.join(' and ')}`).toBeLessThan(1);
  expect((await ask(agent.port, predictOne('b'))).status).toBe(200);
});
