import { describe, expect, test } from 'vitest';
import { parseEnginePage, toEngineReading } from '../../../../src/telemetry/engine/engine-page.ts';

const triton = (a: readonly number[], b: readonly number[] = [0, 0, 0, 0, 0]): string => {
  const series = (model: string, [requests, items, execs, queueUs, computeUs]: readonly number[]): string => {
    const labels = `{model="${model}",version="1"}`;
    return `nv_inference_request_success${labels} ${requests}
nv_inference_count${labels} ${items}
nv_inference_exec_count${labels} ${execs}
nv_inference_queue_duration_us${labels} ${queueUs}
nv_inference_compute_input_duration_us${labels} 0
nv_inference_compute_infer_duration_us${labels} ${computeUs}
nv_inference_pending_request_count${labels} 3
`;
  };
  return series('a', a) + series('b', b);
};
const read = (before: string | null, now: string) =>
  toEngineReading(parseEnginePage(now), before === null ? null : parseEnginePage(before));

describe('toEngineReading', () => {
  test('Triton: gauges at once, means over what happened between two pages, over all models', () => {
    const first = triton([100, 400, 50, 1e6, 5e6]);
    expect(read(null, first)).toEqual({
      engine: 'triton',
      queueDepth: 6,
      running: null,
      queueMs: null,
      computeMs: null,
      meanBatchItems: null,
      kvCacheRatio: null,
    });
    expect(read(first, triton([110, 480, 60, 1_020_000, 5_200_000], [10, 40, 5, 0, 200_000]))).toMatchObject({
      queueMs: 1,
      computeMs: 20,
      meanBatchItems: 8,
    });
  });

  test('a restart of the engine, counters from 0, gives what happened since and no negative figure', () => {
    const reading = read(triton([1000, 4000, 500, 9e6, 9e6]), triton([10, 40, 5, 10_000, 50_000]));
    expect(reading).toMatchObject({ queueMs: 1, computeMs: 5, meanBatchItems: 8 });
  });

  test('no request between two pages: means are unknown, not 0', () => {
    const page = triton([1, 2, 3, 4, 5]);
    expect(read(page, page)).toMatchObject({ queueMs: null, computeMs: null, meanBatchItems: null, queueDepth: 6 });
  });

  test('vLLM: waiting, running, cache and times; several ranks are summed and averaged', () => {
    const page = (sum: number, count: number): string => `# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="l"} 2.0
vllm:num_requests_waiting{engine="1",model_name="l"} 1.0
vllm:num_requests_running{engine="0",model_name="l"} 5.0
vllm:kv_cache_usage_perc{engine="0",model_name="l"} 0.2
vllm:kv_cache_usage_perc{engine="1",model_name="l"} 0.4
vllm:request_queue_time_seconds_sum{model_name="l"} ${sum}
vllm:request_queue_time_seconds_count{model_name="l"} ${count}
vllm:request_queue_time_seconds_bucket{model_name="l",le="0.3"} ${count}
`;
    const reading = read(page(10, 100), page(12, 110));
    expect(reading).toMatchObject({ engine: 'vllm', queueDepth: 3, running: 5, queueMs: 200, computeMs: null });
    expect(reading.kvCacheRatio).toBeCloseTo(0.3);
  });

  test('the older name of the cache gauge is read too', () => {
    expect(read(null, 'vllm:gpu_cache_usage_perc{model_name="l"} 0.5\n').kvCacheRatio).toBe(0.5);
  });

  test('MLServer: the mean size of its queue, requests in progress', () => {
    const page = (sum: number, count: number): string =>
      `model_infer_request_success_total{model="m"} 5\nbatch_request_queue_sum{model="m"} ${sum}\nbatch_request_queue_count{model="m"} ${count}\nrest_server_requests_in_progress{method="POST"} 2\n`;
    expect(read(page(10, 10), page(40, 20))).toMatchObject({ engine: 'mlserver', queueDepth: 3, running: 2 });
  });

  test('a page of something else is unknown, with nothing in it', () => {
    expect(read(null, 'process_cpu_seconds_total 5\n').engine).toBe('unknown');
    expect(read(null, '<html>').queueDepth).toBeNull();
  });

  test('NaN is not a depth', () => {
    expect(read(null, 'vllm:num_requests_waiting NaN\n').queueDepth).toBeNull();
  });
});
