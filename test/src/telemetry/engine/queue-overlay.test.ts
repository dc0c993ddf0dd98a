import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { overlayQueue, QUEUE_GAUGES } from '../../../../src/telemetry/engine/queue-overlay.ts';

const overlay = (page: string, depths: Record<string, number>, own = ''): string =>
  overlayQueue(Buffer.from(page), new Map(Object.entries(depths)), own).toString('utf8');

const TRITON = `# HELP nv_inference_pending_request_count Instantaneous number of pending requests awaiting execution
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="a",version="1"} 2
nv_inference_pending_request_count{model="a",version="2"} 1
nv_inference_pending_request_count{model="b",version="1"} 0
nv_inference_count{model="a",version="1"} 9
`;

describe('overlayQueue', () => {
  test('vLLM: one series gets the whole depth, written as it was', () => {
    expect(overlay('vllm:num_requests_waiting{engine="0",model_name="llama"} 3.0\n', { llama: 4, alias: 1 })).toBe(
      'vllm:num_requests_waiting{engine="0",model_name="llama"} 8.0\n',
    );
  });

  test('Triton: each model gets its own depth once, other metrics and comments stay', () => {
    expect(overlay(TRITON, { a: 5, b: 7, gone: 9 })).toBe(
      TRITON.replace('version="1"} 2', 'version="1"} 7').replace(
        '{model="b",version="1"} 0',
        '{model="b",version="1"} 7',
      ),
    );
  });

  test('TensorRT-LLM: only the waiting series', () => {
    const page =
      'nv_trt_llm_request_metrics{model="t",request_type="scheduled",version="1"} 5\nnv_trt_llm_request_metrics{model="t",request_type="waiting",version="1"} 1\n';
    expect(overlay(page, { t: 2 })).toBe(page.replace('"waiting",version="1"} 1', '"waiting",version="1"} 3'));
  });

  test('a timestamp, an exemplar and windows line ends stay where they are', () => {
    expect(overlay('tgi_queue_size 1 1700000000000\r\n', { m: 2 })).toBe('tgi_queue_size 3 1700000000000\r\n');
  });

  test.each(['NaN', '+Inf', '1e3', 'x', ''])('a value %j that is no plain number is left alone', (value) => {
    const page = `tgi_queue_size ${value}\n`;
    expect(overlay(page, { m: 2 })).toBe(page);
  });

  test('a name that only begins or ends like a gauge, and one in a label, are others', () => {
    const page =
      'tgi_queue_size_total 1\nmy_tgi_queue_size 1\nx{a="\\ntgi_queue_size 1"} 1\nvllm:num_requests_waiting_by_reason{model_name="m"} 4\n';
    expect(overlay(page, { m: 2 })).toBe(page);
  });

  test('our own gauges go to the end, before the end mark of OpenMetrics, also when the last line is cut', () => {
    expect(overlay('up 1\n# EOF\n', {}, 'morphling_queue_depth 2\n')).toBe('up 1\nmorphling_queue_depth 2\n# EOF\n');
    expect(overlay('up 1', {}, 'morphling_queue_depth 2')).toBe('up 1\nmorphling_queue_depth 2\n');
    expect(overlay('', {}, 'morphling_queue_depth 2\n')).toBe('morphling_queue_depth 2\n');
  });

  test('model names beyond ASCII and with quotes are found', () => {
    expect(
      overlay('vllm:num_requests_waiting{model_name="é"} 1\nvllm:num_requests_waiting{model_name="a\\"}"} 1\n', {
        é: 1,
        'a"}': 2,
      }),
    ).toBe('vllm:num_requests_waiting{model_name="é"} 2\nvllm:num_requests_waiting{model_name="a\\"}"} 3\n');
  });

  test('any bytes pass unharmed where no gauge stands, and where the queue is empty', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(overlayQueue(bytes, new Map([['m', 3]]))).toEqual(Buffer.from(bytes));
      }),
    );
    expect(overlay(TRITON, {})).toBe(TRITON);
  });

  test('the sum over all series of a gauge grows by exactly the depth, and every other line is the same', () => {
    const line = fc.oneof(
      fc.record({ gauge: fc.constantFrom(...QUEUE_GAUGES), value: fc.nat(1000) }).map(({ gauge, value }) => {
        const labels = [
          gauge.modelLabel === null ? '' : `${gauge.modelLabel}="m"`,
          gauge.only ? `${gauge.only[0]}="${gauge.only[1]}"` : '',
        ];
        return `${gauge.name}{${labels.filter((label) => label !== '').join(',')}} ${value}`;
      }),
      fc.constantFrom('# HELP x y', 'up 1', '', 'x{y="z"} 2'),
    );
    fc.assert(
      fc.property(fc.array(line), fc.nat(100), (lines, depth) => {
        const after = overlay(lines.join('\n'), { m: depth }).split('\n');
        expect(after).toHaveLength(Math.max(1, lines.length));
        for (const gauge of QUEUE_GAUGES) {
          const sum = (all: readonly string[]): number =>
            all.filter((l) => l.startsWith(`${gauge.name}{`)).reduce((s, l) => s + Number(l.split(' ').at(-1)), 0);
          const isThere = lines.some((l) => l.startsWith(`${gauge.name}{`));
          expect(sum(after) - sum(lines)).toBe(isThere ? depth : 0);
        }
        lines.forEach((l, i) => {
          if (QUEUE_GAUGES.every((gauge) => !l.startsWith(`${gauge.name}{`))) expect(after[i]).toBe(l);
        });
      }),
    );
  });

  test('a page of 200 kB takes under 5 ms, a hostile one stays linear', () => {
    const page = Buffer.from(TRITON.repeat(500));
    const measure = (bytes: Buffer): number => {
      const startMs = performance.now();
      overlayQueue(bytes, new Map([['a', 1]]));
      return performance.now() - startMs;
    };
    measure(page);
    expect(Math.min(...Array.from({ length: 5 }, () => measure(page)))).toBeLessThan(5);
    expect(measure(Buffer.from(`tgi_queue_size{${'a="b",'.repeat(40_000)}`))).toBeLessThan(500);
    expect(measure(Buffer.from('tgi_queue_size{'.repeat(40_000)))).toBeLessThan(500);
  });
});
