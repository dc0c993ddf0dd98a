import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { LiveModel, MetricsDeps } from '../../../sidecar/control/families.ts';
import { Log2Histogram } from '../../../sidecar/control/histogram.ts';
import { createMetrics, type Metrics } from '../../../sidecar/control/metrics.ts';
import type { Completion } from '../../../src/core/completion.ts';
import type { HistoryEntry } from '../../../src/core/history.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';

const completionOf = (change: Partial<Completion> = {}): Completion => ({
  model: 'resnet',
  protocol: 'v2',
  code: 200,
  outcome: 'ok',
  ending: 'success',
  arrivedMs: 0,
  endedMs: 12,
  queueMs: 2,
  upstreamMs: 9,
  firstByteMs: 12,
  items: 1,
  requestBytes: 10,
  responseBytes: 10,
  generation: 1,
  ...change,
});

const live = (model: string, change: Partial<LiveModel> = {}): LiveModel => ({
  model,
  version: { settings: { ...START_SETTINGS, batchDelayMs: 2.5 }, generation: 3, source: 'decider' },
  queueDepth: 4,
  inflight: 2,
  sla: { p99Ms: 85, isAssumed: false },
  sloViolationRatio: 0.25,
  popularityRatio: 1,
  ...change,
});

let metrics: Metrics | null = null;
afterEach(() => metrics?.close());

function setUp(change: Partial<MetricsDeps> = {}, maxModels = 100): Metrics {
  metrics = createMetrics(
    {
      build: { version: '1.0.0', commit: 'abc', node: process.version },
      models: () => [live('resnet')],
      upstream: () => ({ isDown: true, retries: { made: 3, refused: 1 } }),
      restarts: () => ({ data: { crash: 1, hung: 2, memory: 0 }, mind: { crash: 0, hung: 0, memory: 4 } }),
      memoryRatio: () => 0.5,
      telemetry: () => ({
        devices: [
          {
            index: '0',
            uuid: 'GPU-1',
            name: 'T4',
            utilizationRatio: 0.5,
            memoryUsedBytes: 1024,
            memoryTotalBytes: null,
            powerWatts: null,
            temperatureCelsius: 60,
            parentUuid: null,
          },
        ],
        deviceSource: 'nvidia-smi',
        host: {
          cpuRatio: 0.25,
          cpuSource: 'container',
          throttledRatio: null,
          memoryUsedBytes: null,
          memoryLimitBytes: null,
        },
        engine: null,
        health: [
          { source: 'nvidia-smi', ageMs: 1500, errors: 2, lastError: 'x' },
          { source: 'dcgm', ageMs: null, errors: 1, lastError: 'y' },
        ],
      }),
      slaP99Ms: () => 85,
      isConfigInvalid: () => false,
      isBypass: () => true,
      samplingIntervalS: () => 10,
      stateProblem: () => null,
      trial: { states: ['idle', 'running'], state: () => 'idle' },
      learner: () => ({ reward: 0.1, entropy: 1.2, stepS: 0.003 }),
      ...change,
    },
    { maxModels },
  );
  return metrics;
}

const linesOf = async (from: Metrics, accept: string | null = null) => (await from.render(accept)).body.split('\n');

describe('the metrics page', () => {
  test('says what was counted, in base units, with exactly the labels of the contract', async () => {
    const page = setUp();
    page.sink.completed(completionOf());
    page.sink.completed(completionOf({ code: 503, outcome: 'shed', ending: 'dropped', endedMs: 0.1 }));
    page.sink.batchCompleted({
      model: 'resnet',
      reason: 'full',
      ending: 'success',
      startedMs: 0,
      durationMs: 9,
      requests: 3,
      items: 3,
      inflight: 1,
      inflightAll: 1,
      generation: 1,
    });
    const lines = await linesOf(page);
    expect(lines).toEqual(
      expect.arrayContaining([
        'morphling_requests_total{model="resnet",protocol="v2",code="200",outcome="ok"} 1',
        'morphling_requests_total{model="resnet",protocol="v2",code="503",outcome="shed"} 1',
        'morphling_request_duration_seconds_bucket{model="resnet",protocol="v2",le="0.008"} 0',
        'morphling_request_duration_seconds_bucket{model="resnet",protocol="v2",le="0.016"} 1',
        'morphling_request_duration_seconds_bucket{model="resnet",protocol="v2",le="0.085"} 1',
        'morphling_request_duration_seconds_bucket{model="resnet",protocol="v2",le="65.536"} 1',
        'morphling_request_duration_seconds_bucket{model="resnet",protocol="v2",le="+Inf"} 1',
        'morphling_request_duration_seconds_sum{model="resnet",protocol="v2"} 0.012',
        'morphling_request_duration_seconds_count{model="resnet",protocol="v2"} 1',
        'morphling_queue_duration_seconds_bucket{model="resnet",le="0.002"} 1',
        'morphling_upstream_duration_seconds_sum{model="resnet"} 0.009',
        'morphling_batch_size_bucket{model="resnet",le="2"} 0',
        'morphling_batch_size_bucket{model="resnet",le="4"} 1',
        'morphling_batches_total{reason="full"} 1',
        'morphling_batches_total{reason="drain"} 0',
        'morphling_queue_depth{model="resnet"} 4',
        'morphling_inflight_requests{model="resnet"} 2',
        'morphling_config_batch_size_limit{model="resnet"} 64',
        'morphling_config_batch_timeout_seconds{model="resnet"} 0.0025',
        'morphling_config_concurrency_limit{model="resnet"} 1',
        'morphling_config_generation{model="resnet"} 3',
        'morphling_config_invalid 0',
        'morphling_trial_state{state="idle"} 1',
        'morphling_trial_state{state="running"} 0',
        'morphling_slo_target_seconds{model="resnet",assumed="false"} 0.085',
        'morphling_slo_violation_ratio{model="resnet"} 0.25',
        'morphling_reward 0.1',
        'morphling_bypass_active 1',
        'morphling_state_degraded 0',
        'morphling_upstream_up 0',
        'morphling_upstream_retries_total{result="made"} 3',
        'morphling_upstream_retries_total{result="refused"} 1',
        'morphling_process_restarts_total{process="data",reason="hung"} 2',
        'morphling_process_restarts_total{process="mind",reason="memory"} 4',
        'morphling_memory_pressure_ratio 0.5',
        'morphling_gpu_utilization_ratio{gpu="0",uuid="GPU-1"} 0.5',
        'morphling_gpu_memory_used_bytes{gpu="0",uuid="GPU-1"} 1024',
        'morphling_gpu_temperature_celsius{gpu="0",uuid="GPU-1"} 60',
        'morphling_cpu_utilization_ratio{source="container"} 0.25',
        'morphling_model_popularity_ratio{model="resnet"} 1',
        'morphling_telemetry_age_seconds{source="nvidia-smi"} 1.5',
        'morphling_telemetry_errors_total{source="nvidia-smi"} 2',
        'morphling_telemetry_errors_total{source="dcgm"} 1',
        'morphling_sampling_interval_seconds 10',
        `morphling_build_info{version="1.0.0",commit="abc",node="${process.version}"} 1`,
      ]),
    );
  });

  test('what is not known is left out, never 0', async () => {
    const lines = await linesOf(
      setUp({ models: () => [live('m', { sla: { p99Ms: null, isAssumed: true }, sloViolationRatio: null })] }),
    );
    for (const name of ['gpu_memory_total_bytes', 'gpu_power_watts', 'slo_target_seconds', 'slo_violation_ratio']) {
      expect(lines.some((line) => line.startsWith(`morphling_${name}`))).toBe(false);
    }
    expect(lines.some((line) => line.startsWith('morphling_telemetry_age_seconds{source="dcgm"'))).toBe(false);
  });

  test('changes and rollbacks are counted from history', async () => {
    const page = setUp();
    const entry = { source: 'rollback', class: 'step', result: 'rolled_back' } as HistoryEntry;
    page.changed(entry, 'sla');
    page.changed(entry, 'sla');
    page.changed({ ...entry, source: 'user', class: 'leap', result: 'applied' }, null);
    const lines = await linesOf(page);
    expect(lines).toContain('morphling_config_changes_total{source="rollback",class="step",result="rolled_back"} 2');
    expect(lines).toContain('morphling_config_changes_total{source="user",class="leap",result="applied"} 1');
    expect(lines).toContain('morphling_rollbacks_total{reason="sla"} 2');
  });

  test('OpenMetrics is served when it is asked for, and one scrape does not spoil the other format', async () => {
    const page = setUp();
    page.sink.completed(completionOf());
    const accept =
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const before = await page.render(null);
    const open = await page.render(accept);
    const after = await page.render('text/plain');
    expect(open.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(open.body.endsWith('\n# EOF\n')).toBe(true);
    expect(open.body).toContain('# TYPE morphling_requests counter\n');
    expect(open.body).toContain('morphling_requests_total{model="resnet"');
    expect(after.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    const ours = (text: string) => text.split('\n').filter((line) => line.includes('morphling_'));
    expect(ours(after.body)).toEqual(ours(before.body));
    expect(after.body).toContain('# TYPE morphling_requests_total counter\n');
  });

  test('a changed SLA moves the bucket and starts the histogram anew', async () => {
    let slaMs = 85;
    const page = setUp({ slaP99Ms: () => slaMs });
    page.sink.completed(completionOf());
    await page.render(null);
    slaMs = 10;
    await page.render(null);
    page.sink.completed(completionOf());
    const lines = (await linesOf(page)).filter((line) => line.startsWith('morphling_request_duration_seconds'));
    expect(lines).toContain('morphling_request_duration_seconds_bucket{model="resnet",protocol="v2",le="0.01"} 0');
    expect(lines).toContain('morphling_request_duration_seconds_count{model="resnet",protocol="v2"} 1');
    expect(lines.join()).not.toContain('le="0.085"');
  });

  test('a thousand made-up models and statuses make a bounded number of series', async () => {
    const many = Array.from({ length: 1000 }, (_, index) => live(`live-${index}`));
    const page = setUp({ models: () => many }, 10);
    const count = async () => (await linesOf(page)).filter((line) => line.startsWith('morphling_')).length;
    const feed = (round: number) => {
      for (let index = 0; index < 1000; index++) {
        page.sink.completed(completionOf({ model: `random-${round}-${index}\n"`, code: 99_999 }));
        page.sink.completed(completionOf({ model: 'x'.repeat(1e4) }));
      }
    };
    feed(0);
    const first = await count();
    feed(1);
    expect(await count()).toBe(first);
    const labels = new Set((await linesOf(page)).flatMap((line) => /model="([^"]*)/.exec(line)?.[1] ?? []));
    expect(labels.size).toBe(11);
    expect((await linesOf(page)).filter((line) => line.startsWith('morphling_queue_depth'))).toHaveLength(
      new Set((await linesOf(page)).filter((line) => line.startsWith('morphling_queue_depth'))).size,
    );
  });

  test('no series appears twice, and every line is well formed', async () => {
    const page = setUp({ models: () => [live('a'), live('a'), live('o"\\\n')] });
    page.sink.completed(completionOf({ model: 'o"\\\n' }));
    const lines = (await linesOf(page)).filter((line) => line !== '' && !line.startsWith('#'));
    const series = lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
    expect(new Set(series).size).toBe(series.length);
    for (const line of lines)
      expect(line).toMatch(/^[a-z0-9_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? ([-+]?[0-9.e+-]+|NaN|\+Inf)$/i);
  });

  const promtool = 'promtool'; // of the Debian package prometheus
  const hasPromtool = spawnSync(promtool, ['--version']).status === 0;
  test.skipIf(!hasPromtool)('promtool accepts the page (skipped where promtool is not installed)', async () => {
    const page = setUp();
    page.sink.completed(completionOf());
    page.changed({ source: 'user', class: 'leap', result: 'applied' } as HistoryEntry, null);
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], {
      input: (await page.render(null)).body,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('the histogram', () => {
  test('puts every value at or below its bound and above the one before, and keeps sum and count', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 200_000, noNaN: true })),
        fc.double({ min: 0.1, max: 1e5, noNaN: true }),
        (values, extra) => {
          const histogram = new Log2Histogram(17, extra);
          for (const value of values) histogram.record(value);
          const { bounds, sum, count } = histogram.read();
          expect(count).toBe(values.length);
          expect(sum).toBeCloseTo(
            values.reduce((a, b) => a + b, 0),
            3,
          );
          for (const [le, atMost] of bounds) expect(atMost).toBe(values.filter((value) => value <= le).length);
          expect(bounds.map(([le]) => le)).toEqual(bounds.map(([le]) => le).toSorted((a, b) => a - b));
        },
      ),
    );
  });

  test('takes what should not come', () => {
    const histogram = new Log2Histogram(3);
    for (const value of [Number.NaN, -1, 1e300, Infinity, 2 ** 32, 2 ** 32 + 1]) histogram.record(value);
    expect(histogram.read().count).toBe(5);
    expect(histogram.read().bounds).toEqual([
      [1, 1],
      [2, 1],
      [4, 1],
    ]);
  });
});
