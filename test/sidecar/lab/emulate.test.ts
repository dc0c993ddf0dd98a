import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.ts';
import { createRandom } from '../../../src/core/random.ts';
import { EmulatedDevice } from '../../../sidecar/lab/emulate-device.ts';
import { startEmulator, type Emulator } from '../../../sidecar/lab/emulate.ts';
import { createCurve, type Profile } from '../../../sidecar/lab/profiles.ts';

const profile = (latencyMs: number): Profile => ({
  id: `m|T4|FP16|x${latencyMs}`,
  model: 'm',
  gpu: 'T4',
  precision: 'FP16',
  framework: 'x',
  points: [
    { items: 1, latencyMs },
    { items: 64, latencyMs: 2 * latencyMs },
  ],
});

describe('the emulated device', () => {
  afterEach(() => void vi.useRealTimers());

  /** A clock that only the fake timers move. */
  function createDevice(interference: number) {
    const clock = new VirtualClock(1000);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
    const options = { curve: createCurve(profile(20).points), interference, random: createRandom(1), noiseRatio: 0 };
    const device = new EmulatedDevice(options, clock);
    const advance = async (ms: number) => {
      for (let i = 0; i < ms; i++) {
        clock.advance(1);
        await vi.advanceTimersByTimeAsync(1);
      }
    };
    return { device, advance };
  }

  test('a batch alone ends when the curve says so', async () => {
    const { device, advance } = createDevice(0.7);
    const ended: number[] = [];
    device.run(1, (batch) => ended.push(batch.modelledMs));
    await advance(19);
    expect(ended).toEqual([]);
    await advance(2);
    expect(ended).toEqual([20]);
    expect(device.totals()).toMatchObject({ batches: 1, items: 1, busyMs: 20 });
  });

  test('two batches in flight slow each other by 1 + kappa', async () => {
    const { device, advance } = createDevice(0.5);
    const ended: number[] = [];
    device.run(1, (batch) => ended.push(batch.modelledMs));
    device.run(1, (batch) => ended.push(batch.modelledMs));
    expect(device.runningBatches).toBe(2);
    await advance(29);
    expect(ended).toEqual([]);
    await advance(3);
    expect(ended).toEqual([30, 30]);
  });

  test('utilisation is the busy share of the last second', async () => {
    const { device, advance } = createDevice(0.7);
    for (let i = 0; i < 20; i++) {
      device.run(1, () => {});
      await advance(40);
      device.totals();
    }
    await advance(400);
    device.run(1, () => {});
    await advance(800);
    // 20 busy of the last 1000 ms, marks are 100 ms apart
    expect(device.utilizationRatio()).toBeLessThan(0.2);
    await advance(1200);
    expect(device.utilizationRatio()).toBeLessThan(0.02);
  });

  test('a reload stalls what runs, and the new curve holds after it', async () => {
    const { device, advance } = createDevice(0.7);
    const ended: number[] = [];
    device.switchCurve(createCurve(profile(5).points), 100);
    device.run(1, (batch) => ended.push(Math.round(batch.modelledMs)));
    await advance(103);
    expect(ended).toEqual([]);
    await advance(4);
    expect(ended).toEqual([105]);
  });
});

describe('the emulated server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'morphling-emulate-'));
  const smi = join(folder, 'bin', 'nvidia-smi');
  let emulator: Emulator;

  beforeAll(async () => {
    emulator = await startEmulator({
      profile: profile(2),
      alternative: { profile: profile(1), cost: { kind: 'live' }, switchName: 'tensorrt' },
      listen: { host: '127.0.0.1', port: 0 },
      models: ['m', 'n'],
      maxBatchSize: 8,
      nvidiaSmi: smi,
    });
  });
  afterAll(async () => {
    await emulator.close();
    expect(existsSync(smi)).toBe(false);
    rmSync(folder, { recursive: true });
  });

  const infer = (count: number, model = 'm') =>
    fetch(`${emulator.url}/v2/models/${model}/infer`, {
      method: 'POST',
      body: JSON.stringify({
        inputs: [{ name: 'INPUT0', datatype: 'INT32', shape: [count], data: Array(count).fill(7) }],
      }),
    });

  test('answers what it was asked, and counts it per model', async () => {
    const answer = await infer(3, 'n');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ outputs: [{ data: [7, 7, 7] }] });
    const page = await (await fetch(`${emulator.url}/metrics`)).text();
    expect(page).toContain('nv_inference_count{model="n",version="1"} 3\n');
    expect(page).toContain('nv_inference_exec_count{model="n",version="1"} 1\n');
    expect(page).toContain('nv_inference_count{model="m",version="1"} 0\n');
  });

  test('speaks V1 too', async () => {
    const answer = await fetch(`${emulator.url}/v1/models/m:predict`, { method: 'POST', body: '{"instances":[5]}' });
    expect(await answer.json()).toEqual({ predictions: [5] });
  });

  test('says in its metadata that it may be batched', async () => {
    const metadata = await (await fetch(`${emulator.url}/v2/models/m`)).json();
    expect(metadata).toMatchObject({ inputs: [{ shape: [-1, -1] }], outputs: [{ shape: [-1, -1] }] });
  });

  test.each([
    ['/v2/health/ready', 200],
    ['/v2/models/m/ready', 200],
    ['/v2/models/m/versions/1', 200],
    ['/v1/models/m', 200],
    ['/v2/models/x', 404],
    ['/v2/models/x/ready', 404],
    ['/v2/models/m/config', 404],
    ['/nothing', 404],
  ])('GET %s is %i', async (path, status) => {
    expect((await fetch(emulator.url + path)).status).toBe(status);
  });

  test('refuses a larger batch than it takes, a bad body and an unknown model', async () => {
    expect((await infer(9)).status).toBe(400);
    expect((await infer(0)).status).toBe(400);
    expect((await infer(1, 'x')).status).toBe(404);
  });

  test('its switch turns when told, and only its own', async () => {
    const put = (name: string, body: string) =>
      fetch(`${emulator.url}/emulator/switches/${name}`, { method: 'PUT', body });
    expect(await (await put('tensorrt', '{"on": true}')).json()).toEqual({ on: true });
    expect(await (await fetch(`${emulator.url}/emulator/switches`)).json()).toMatchObject({
      tensorrt: { on: true, cost: 'live' },
    });
    expect((await put('other', '{"on": true}')).status).toBe(404);
    expect((await put('tensorrt', 'yes')).status).toBe(404);
  });

  test('the stand-in nvidia-smi answers a query, a loop and a mistake as the real one does', async () => {
    const run = promisify(execFile);
    const fields = '--query-gpu=index,name,utilization.gpu,memory.total,power.draw';
    const once = await run(smi, [fields, '--format=csv,noheader,nounits']);
    expect(once.stdout).toMatch(/^0, Emulated T4, \d+, 15360, \[N\/A\]\n$/);
    const withHead = await run(smi, [fields, '--format=csv']);
    expect(withHead.stdout.split('\n')[0]).toBe('index, name, utilization.gpu [%], memory.total [MiB], power.draw [W]');
    await expect(run(smi, ['--query-gpu=wings', '--format=csv'])).rejects.toMatchObject({ code: 2 });
    const child = execFile(smi, [fields, '--format=csv,noheader,nounits', '-lms', '20']);
    let lines = '';
    await new Promise<void>((resolve) => {
      child.stdout?.on('data', (text: string) => {
        lines += text;
        if (lines.split('\n').length > 3) resolve();
      });
    });
    child.kill();
    expect(lines.split('\n')[2]).toMatch(/^0, Emulated T4/);
  });
});
