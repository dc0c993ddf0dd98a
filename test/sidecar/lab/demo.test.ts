import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/core/random.ts';
import { parseTrace } from '../../../src/traffic/trace.ts';
import { parseAgentConfig } from '../../../src/config/agent.ts';
import { createArms } from '../../../sidecar/lab/demo-arms.ts';
import { chooseArrivals } from '../../../sidecar/lab/demo-arrivals.ts';
import { toArrivalsFile, toProfilesFile } from '../../../sidecar/lab/demo-data.ts';
import { startProgram, untilReady } from '../../../sidecar/lab/demo-process.ts';
import { parseProfiles } from '../../../sidecar/lab/profiles.ts';

/** A zombie is not alive: it only waits for a parent (PID 1 of a container may never ask). */
const isAlive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};
const node = process.execPath;
const never = new AbortController().signal;

describe('demo data', () => {
  test('both files are where the demo looks for them', () => {
    expect(parseProfiles(readFileSync(toProfilesFile(), 'utf8')).length).toBeGreaterThan(100);
    expect(parseTrace(readFileSync(toArrivalsFile(), 'utf8'))).toHaveLength(8819);
  });

  test('the piece of the trace is of a middling load, the same for a seed, another for another', () => {
    const trace = parseTrace(readFileSync(toArrivalsFile(), 'utf8'));
    const choose = (seed: number) => chooseArrivals(trace, 18, createRandom(seed));
    const pieces = Array.from({ length: 20 }, (_, seed) => choose(seed));
    for (const piece of pieces) {
      expect(piece.timesS.length / 18).toBeGreaterThanOrEqual(55);
      expect(piece.timesS.length / 18).toBeLessThanOrEqual(90);
      expect(piece.timesS.every((atS, i) => atS >= (piece.timesS[i - 1] ?? 0) && atS < 18)).toBe(true);
    }
    expect(choose(3)).toEqual(pieces[3]);
    expect(new Set(pieces.map(({ fromS }) => fromS)).size).toBeGreaterThan(5);
  });
});

describe('demo arms', () => {
  test('every agent starts with a configuration that the agent accepts, fixed ones with one point of settings', () => {
    for (const arm of createArms(200)) {
      if (arm.agentEnv === null) continue;
      const config = parseAgentConfig({ env: arm.agentEnv, flags: {} });
      expect(config.invalid).toEqual([]);
      if (arm.id === 'morphling') continue;
      const { batchSize, batchDelayMs, concurrency } = config.policy.bounds;
      for (const range of [batchSize, batchDelayMs ?? [0, 1], concurrency]) expect(range[0]).toBe(range[1]);
      expect(config.decider).toBe('fixed');
    }
  });
});

describe('demo processes', () => {
  test('a program that ignores SIGTERM is ended with all its children', async () => {
    const script = `process.on('SIGTERM', () => {});
      const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
      console.log(child.pid); setInterval(() => {}, 1000);`;
    const { promise, resolve } = Promise.withResolvers<number>();
    const program = startProgram({ name: 'stubborn', command: [node, '-e', script], env: process.env }, (line) =>
      resolve(Number(line)),
    );
    const childPid = await promise;
    expect([isAlive(program.pid), isAlive(childPid)]).toEqual([true, true]);
    await program.stop(200);
    await new Promise((done) => setTimeout(done, 50));
    expect([isAlive(program.pid), isAlive(childPid)]).toEqual([false, false]);
  });

  test('a program that ends before it is ready is reported with its last words', async () => {
    const command = [node, '-e', 'console.error("no such profile"); process.exit(3)'];
    const program = startProgram({ name: 'the server', command, env: process.env });
    await expect(untilReady(program, 'http://127.0.0.1:1/ready', 5000, never)).rejects.toThrow(
      /the server ended with code 3: no such profile/,
    );
    await program.stop();
  });

  test('a program that does not exist is reported too, and stopping it is no error', async () => {
    const program = startProgram({ name: 'ghost', command: ['/nonexistent/program'], env: {} });
    await expect(untilReady(program, 'http://127.0.0.1:1/ready', 5000, never)).rejects.toThrow(/ghost ended/);
    await program.stop();
  });

  test('an abort ends the wait', async () => {
    const program = startProgram({ name: 'slow', command: [node, '-e', 'setInterval(() => {}, 1000)'], env: {} });
    const wait = untilReady(program, 'http://127.0.0.1:1/ready', 60_000, AbortSignal.timeout(100));
    await expect(wait).rejects.toThrow();
    await program.stop(500);
    expect(isAlive(program.pid)).toBe(false);
  });
});
