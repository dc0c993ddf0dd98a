import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, toEnginePageUrls, type EngineSource } from '../../../../src/telemetry/engine/engine.ts';
import { until } from '../../../contract/accelerator.ts';
import { serveMetricsPage, type MetricsPage } from '../../../support/metrics-page.ts';

const VLLM = 'vllm:num_requests_waiting 4\n';
const pages: MetricsPage[] = [];
const engines: EngineSource[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
  for (const page of pages.splice(0)) await page.close();
});

async function serve(text: string): Promise<MetricsPage> {
  const page = await serveMetricsPage(text);
  pages.push(page);
  return page;
}

function started(urls: readonly string[]): EngineSource {
  const engine = createEngine({ urls, intervalMs: () => 20, timeoutMs: 500 });
  engines.push(engine);
  engine.start();
  return engine;
}

describe('createEngine', () => {
  test('finds the page that is an engine among several', async () => {
    const [other, vllm] = [await serve('up 1\n'), await serve(VLLM)];
    const engine = started([other.url, vllm.url]);
    await until(() => engine.reading() !== null, 'a reading');
    expect(engine.reading()).toMatchObject({ engine: 'vllm', queueDepth: 4 });
    expect(engine.health(performance.now()).errors).toBe(0);
  });

  test('a page that goes away leaves no old figures behind, and is found again', async () => {
    const page = await serve(VLLM);
    const engine = started([page.url]);
    await until(() => engine.reading() !== null, 'a reading');
    const { answer } = page;
    page.answer = (_, response) => void response.writeHead(500).end();
    await until(() => engine.reading() === null, 'no reading');
    expect(engine.health(performance.now()).lastError).toContain('got 500');
    page.answer = answer;
    await until(() => engine.reading() !== null, 'a reading again');
  });

  test('off asks nobody', () => {
    const engine = started(toEnginePageUrls('http://127.0.0.1:1', 'off'));
    expect(engine.reading()).toBeNull();
    expect(engine.health(0)).toMatchObject({ errors: 0, ageMs: null });
  });
});

describe('toEnginePageUrls', () => {
  test('auto tries the upstream, then the ports of Triton and MLServer; a URL is taken as it is', () => {
    expect(toEnginePageUrls('http://127.0.0.1:8000', 'auto')).toEqual([
      'http://127.0.0.1:8000/metrics',
      'http://127.0.0.1:8002/metrics',
      'http://127.0.0.1:8082/metrics',
    ]);
    expect(toEnginePageUrls('http://127.0.0.1:8000', 'http://x/y')).toEqual(['http://x/y']);
  });
});
