import { chmodSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { createNvidiaSmi, type NvidiaSmiOptions } from '../../../../src/telemetry/accelerator/nvidia-smi.ts';
import type { AcceleratorSampler } from '../../../../src/telemetry/accelerator/sampler.ts';
import { acceleratorContract, until } from '../../../contract/accelerator.ts';
import { ROW, writeFake, type FakeNvidiaSmi } from './fake-nvidia-smi.ts';

/** A sample every 50 ms, as `-lms 50` would. */
const STEADY = `while :; do echo "${ROW}"; sleep 0.05; done`;
const FAST = { intervalMs: 50, silenceMs: 300, backOffMs: [20, 80] } as const;

const open: { sampler: AcceleratorSampler; fake: FakeNvidiaSmi | null }[] = [];
afterEach(async () => {
  for (const { sampler, fake } of open.splice(0)) {
    await sampler.stop();
    if (fake !== null) {
      await until(() => fake.alive().length === 0, 'no child after stop');
      fake.remove();
    }
  }
});

function started(fake: FakeNvidiaSmi, options: Partial<NvidiaSmiOptions> = {}): AcceleratorSampler {
  const sampler = createNvidiaSmi({ path: fake.path, ...FAST, ...options });
  open.push({ sampler, fake });
  sampler.start();
  return sampler;
}

const health = (sampler: AcceleratorSampler) => sampler.health(performance.now());

acceleratorContract({
  source: 'nvidia-smi',
  working: async () => {
    const fake = writeFake(STEADY);
    return { sampler: createNvidiaSmi({ path: fake.path, ...FAST }), done: async () => fake.remove() };
  },
  dead: async () => ({
    sampler: createNvidiaSmi({ path: '/nonexistent/nvidia-smi', ...FAST }),
    done: async () => undefined,
  }),
});

describe('createNvidiaSmi', () => {
  test('one long-lived child feeds all readings', async () => {
    const fake = writeFake(STEADY);
    let readings = 0;
    const sampler = started(fake, { onReading: () => (readings += 1) });
    await until(() => readings >= 10, 'ten readings');
    expect(fake.starts()).toBe(1);
    expect(sampler.devices()).toHaveLength(1);
    expect(sampler.devices()[0]).toMatchObject({ uuid: 'GPU-1', utilizationRatio: 0.4, powerWatts: 300.5 });
    expect(health(sampler)).toMatchObject({ errors: 0, lastError: null });
  });

  test('the child gets a fixed environment, no stdin and the query as an argument array', async () => {
    const fake = writeFake(`echo "$#|$1|$2|$3|$4|$HOME|$(cat)|$LC_ALL" > "$FLAG"\n${STEADY}`);
    const sampler = started(fake);
    await until(() => sampler.devices().length > 0, 'a device');
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(fake.flag, 'utf8').trim()).toBe(
      '4|--query-gpu=index,uuid,name,utilization.gpu,memory.used,memory.total,power.draw,temperature.gpu,mig.mode.current|--format=csv,noheader,nounits|-lms|50|||C',
    );
  });

  test('a hung child is killed and started anew, one at a time, and the age grows meanwhile', async () => {
    const fake = writeFake('echo once > "$FLAG.x"; sleep 60');
    const sampler = started(fake);
    await until(() => fake.starts() >= 3, 'three starts');
    expect(fake.alive().length).toBeLessThanOrEqual(1);
    expect(health(sampler).ageMs).toBeNull();
    expect(health(sampler).lastError).toContain('hung: no line for 300 ms');
  });

  test('a child that hangs after good rows: the reading ages, and recovers when rows come again', async () => {
    const fake = writeFake(`if [ -e "$FLAG" ]; then ${STEADY}; else echo "${ROW}"; sleep 60; fi`);
    const sampler = started(fake);
    await until(() => (health(sampler).ageMs ?? 0) > 250, 'an age that grows');
    expect(sampler.devices()).toHaveLength(1);
    writeFileSync(fake.flag, '');
    const errors = health(sampler).errors;
    await until(() => (health(sampler).ageMs ?? 1e9) < 40 && health(sampler).errors > errors, 'recovery');
    expect(fake.alive().length).toBeLessThanOrEqual(2);
  });

  test('a hang in -L is ended too', async () => {
    const fake = writeFake(STEADY, 'sleep 60');
    const sampler = started(fake);
    await until(() => health(sampler).errors >= 2, 'two errors');
    expect(health(sampler).lastError).toContain('hung');
    expect(fake.starts()).toBe(0);
  });

  test('a grandchild that keeps the pipe open neither blocks nor survives', async () => {
    const fake = writeFake('sleep 60 & echo $! >> "$PIDS"\nexit 1');
    const sampler = started(fake);
    await until(() => health(sampler).errors >= 3, 'three errors');
    expect(fake.alive().length).toBeLessThanOrEqual(2);
    expect(health(sampler).lastError).toContain('exit code 1');
  });

  test('exit 18 with the text of NVML on stdout gives the remedy', async () => {
    const text =
      'echo "Failed to initialize NVML: Driver/library version mismatch"\necho "NVML library version: 580.173"\nexit 18';
    const fake = writeFake(text, text);
    const sampler = started(fake);
    await until(() => health(sampler).errors >= 2, 'two errors');
    expect(health(sampler).lastError).toMatch(/version mismatch .*restart the pod/);
    expect(sampler.devices()).toEqual([]);
  });

  test('exit 18 without a word is explained by its code', async () => {
    const sampler = started(writeFake('exit 18'));
    await until(() => health(sampler).errors >= 1, 'an error');
    expect(health(sampler).lastError).toContain('exit code 18: driver and library versions do not match');
  });

  test('a missing library, told on stderr, is told on', async () => {
    const words =
      'echo "nvidia-smi: error while loading shared libraries: libnvidia-ml.so.1: cannot open shared object file" >&2; exit 127';
    const sampler = started(writeFake(words, words));
    await until(() => health(sampler).errors >= 1, 'an error');
    expect(health(sampler).lastError).toContain('mount the driver libraries');
  });

  test('garbage is counted, never read, and good rows between it still count', async () => {
    const fake = writeFake(
      `while :; do echo "0, GPU-1, half"; printf '\\000\\377\\n'; echo "${ROW}"; sleep 0.05; done`,
    );
    const sampler = started(fake);
    await until(() => sampler.devices().length > 0 && health(sampler).errors >= 4, 'rows and errors');
    expect(sampler.devices()).toHaveLength(1);
    expect(fake.starts()).toBe(1);
  });

  test('[N/A] everywhere is a device of which nothing is known, not an idle one', async () => {
    const sampler = started(
      writeFake('while :; do echo "0, GPU-1, [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A]"; sleep 0.05; done'),
    );
    await until(() => sampler.devices().length > 0, 'a device');
    expect(sampler.devices()[0]).toMatchObject({ name: null, utilizationRatio: null, memoryUsedBytes: null });
  });

  test('10 MB without a line end is dropped in bounded memory and the child ended as a flood', async () => {
    const sampler = started(writeFake("head -c 10485760 /dev/zero | tr '\\000' x; sleep 60"));
    const before = process.memoryUsage().rss;
    await until(() => (health(sampler).lastError ?? '').includes('flood'), 'the flood ended');
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
    expect(sampler.devices()).toEqual([]);
  });

  test('a program that may not be executed is said to be so', async () => {
    const fake = writeFake(STEADY);
    chmodSync(fake.path, 0o644);
    const sampler = started(fake);
    await until(() => health(sampler).errors >= 2, 'two errors');
    expect(health(sampler).lastError).toContain('it may not be executed');
  });

  test('a program that appears later is found', async () => {
    const fake = writeFake(STEADY);
    chmodSync(fake.path, 0o644);
    const sampler = started(fake);
    await until(() => health(sampler).errors >= 1, 'an error');
    chmodSync(fake.path, 0o755);
    await until(() => sampler.devices().length === 1, 'a device');
  });

  test('a slow program, slower than asked, is patiently read', async () => {
    const fake = writeFake(`while :; do sleep 0.2; echo "${ROW}"; done`);
    const sampler = started(fake);
    await until(() => sampler.devices().length > 0, 'a device');
    expect(health(sampler).errors).toBe(0);
    expect(fake.starts()).toBe(1);
  });

  test('a driver that does not know a field is asked without it', async () => {
    const fake = writeFake(
      `case "$1" in *mig.mode*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; esac\nwhile :; do echo "0, GPU-1, T4, 7, 1, 2, 3, 4"; sleep 0.05; done`,
    );
    const sampler = started(fake);
    await until(() => sampler.devices().length > 0, 'a device');
    expect(sampler.devices()[0]).toMatchObject({ name: 'T4', utilizationRatio: 0.07, temperatureCelsius: 4 });
  });

  test('MIG: the parent without utilisation, and its slices by their own UUIDs', async () => {
    const fake = writeFake(
      'while :; do echo "0, GPU-1, H100, [N/A], 11125, 81559, 433.78, 53, Enabled"; sleep 0.05; done',
      'echo "GPU 0: H100 (UUID: GPU-1)"; echo "  MIG 3g.40gb     Device  0: (UUID: MIG-9)"',
    );
    const sampler = started(fake);
    await until(() => sampler.devices().length > 0, 'devices');
    expect(sampler.devices()).toMatchObject([
      { uuid: 'GPU-1', utilizationRatio: null, powerWatts: 433.78, parentUuid: null },
      { uuid: 'MIG-9', index: '0:0', utilizationRatio: null, memoryUsedBytes: null, parentUuid: 'GPU-1' },
    ]);
  });

  test('one GPU that fell off the bus is told while the healthy one is still read', async () => {
    const fake = writeFake(
      `while :; do echo "Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error"; echo "${ROW}"; sleep 0.05; done`,
    );
    const sampler = started(fake);
    await until(() => sampler.devices().length > 0 && health(sampler).errors > 0, 'a device and an error');
    expect(health(sampler).lastError).toContain('drain and reboot');
  });

  test('a device that stops reporting disappears while the others stay', async () => {
    const fake = writeFake(`echo "1, GPU-2, L40S, 1, 1, 1, 1, 1, [N/A]"\nwhile :; do echo "${ROW}"; sleep 0.05; done`);
    const sampler = started(fake);
    await until(() => sampler.devices().length === 2, 'two devices');
    await until(() => sampler.devices().length === 1, 'one device');
    expect(sampler.devices()[0]!.uuid).toBe('GPU-1');
  });

  test('thinning: a fast child, readings only as often as asked, no restart when the pace changes', async () => {
    const fake = writeFake(STEADY);
    let keepEveryMs = 400;
    let readings = 0;
    const sampler = started(fake, { keepEveryMs: () => keepEveryMs, onReading: () => (readings += 1) });
    await until(() => readings >= 1, 'a first reading');
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(readings).toBeLessThanOrEqual(4);
    keepEveryMs = 50;
    const before = readings;
    await until(() => readings >= before + 8, 'every row taken', 2000);
    expect(fake.starts()).toBe(1);
    expect(health(sampler).errors).toBe(0);
  });
});
