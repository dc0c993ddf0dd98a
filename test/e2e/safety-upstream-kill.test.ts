// T4: the model server is killed under load and comes back. Only what was in flight or arrives while it is down may
// fail, quickly and with an error that says so; nothing that was sent is sent again.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startUpstreamProcess } from '../safety/upstream-start.ts';
import { startAgent } from '../support/peers/agent-process.ts';
import { printFigure, readScale, scaled, toQuantile } from '../support/scale.ts';
import { findFreePorts } from '../support/servers/ports.ts';
import { runLoad, type Sent } from '../support/soak-load.ts';
import { faultOf, toPredict } from '../support/wire-client.ts';
import { statusOf } from '../support/wire-parser.ts';

const RATE_PER_S = 300;
const DOWN_MS = 2_000;
/** How long a request of a killed server may still be on its way to an error. */
const IN_FLIGHT_MS = 150;

test('kill -9 of the model server under load', { timeout: 300_000 }, async () => {
  const kills = scaled(10, readScale(0.2));
  const [port = 0] = await findFreePorts(1);
  const notes = join(mkdtempSync(join(tmpdir(), 'morphling-t4-')), 'notes');
  let upstream = await startUpstreamProcess(port, notes);
  const agent = await startAgent(`http://127.0.0.1:${port}`);
  onTestFinished(async () => {
    upstream.kill('SIGKILL');
    await agent.stop('SIGKILL');
  });
  const sent: Sent[] = [];
  let isOver = false;
  const load = runLoad({
    ratePerS: RATE_PER_S,
    next: (index) =>
      isOver ? null : { port: agent.port, bytes: toPredict([`item-${index}`], [], index % 2 === 0 ? 'a' : 'b') },
    done: (one) => sent.push(one),
    timeoutMs: 12_000,
  });
  const outages: { killedMs: number; backMs: number }[] = [];
  for (let kill = 0; kill < kills; kill++) {
    await sleep(1_500);
    const killedMs = performance.now();
    upstream.kill('SIGKILL');
    await sleep(DOWN_MS);
    upstream = await startUpstreamProcess(port, notes);
    outages.push({ killedMs, backMs: performance.now() });
  }
  await sleep(2_500);
  isOver = true;
  await load;
  upstream.kill('SIGKILL');

  const isGood = ({ index, answer }: Sent): boolean =>
    answer !== null && statusOf(answer) === 200 && answer.body.toString() === `{"predictions":["item-${index}"]}`;
  const failed = sent.filter((one) => !isGood(one));
  const isExcused = ({ sentMs, endedMs }: Sent): boolean =>
    outages.some(({ killedMs, backMs }) => endedMs >= killedMs && sentMs <= backMs + 1_000);
  const whileDown = sent.filter(({ sentMs }) =>
    outages.some(({ killedMs, backMs }) => sentMs > killedMs + IN_FLIGHT_MS && sentMs < backMs - 100),
  );
  const wordMs = toQuantile(
    whileDown.map(({ sentMs, endedMs }) => endedMs - sentMs),
    0.99,
  );
  // How slow the machine is by itself just now: good answers before the first outage.
  const calm = sent.filter((one) => isGood(one) && one.endedMs < outages[0]!.killedMs);
  const calmMs = toQuantile(
    calm.map(({ sentMs, endedMs }) => endedMs - sentMs),
    0.99,
  );
  // From when on everything succeeded again.
  const recoveryMs = outages.map(({ backMs }, i) => {
    const until = outages[i + 1]?.killedMs ?? Infinity;
    const after = failed.filter(({ sentMs, endedMs }) => sentMs > backMs && endedMs < until);
    return Math.max(0, ...after.map(({ sentMs }) => sentMs - backMs));
  });
  const items = readFileSync(notes, 'utf8').trim().split('\n');
  const statuses = [
    ...new Set(failed.map(({ answer, why }) => (answer === null ? why : String(statusOf(answer))))),
  ].sort((a, b) => a.localeCompare(b));
  printFigure('T4 kill of the model server', {
    kills,
    requests: sent.length,
    failed: failed.length,
    statuses: statuses.join('/'),
    'failed outside an outage': failed.filter((one) => !isExcused(one)).length,
    'p99 of good answers before': `${calmMs.toFixed(0)} ms`,
    'p99 of the word while down': `${wordMs.toFixed(0)} ms`,
    'last failure after it listened again': `${Math.max(...recoveryMs).toFixed(0)} ms`,
    'run twice': items.length - new Set(items).size,
  });
  expect(failed.filter((one) => !isExcused(one)).map(({ index, why }) => [index, why])).toEqual([]);
  expect(
    failed
      .filter(
        ({ answer }) => answer === null || ![502, 503, 504].includes(statusOf(answer)) || faultOf(answer) === null,
      )
      .map(({ why }) => why),
  ).toEqual([]);
  expect(whileDown.length).toBeGreaterThan(100);
  expect(wordMs).toBeLessThan(Math.max(50, 2 * calmMs));
  expect(Math.max(...recoveryMs)).toBeLessThan(1_000);
  expect(items.length).toBe(new Set(items).size);
  expect(await agent.stop()).toBe(0);
});
