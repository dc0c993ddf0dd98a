import { afterEach, describe, expect, test } from 'vitest';
import { MorphlingError } from '../../../../src/core/errors.ts';
import { createPageFetcher } from '../../../../src/telemetry/engine/page.ts';
import { serveMetricsPage, type MetricsPage } from '../../../support/metrics-page.ts';

const pages: MetricsPage[] = [];
afterEach(async () => {
  for (const page of pages.splice(0)) await page.close();
});

async function failureOf(answer: MetricsPage['answer'], timeoutMs = 300, mostBytes = 10_000): Promise<string> {
  const page = await serveMetricsPage('');
  pages.push(page);
  page.answer = answer;
  const fetcher = createPageFetcher(timeoutMs, mostBytes);
  const error: unknown = await fetcher.fetch(page.url).catch((thrown: unknown) => thrown);
  await fetcher.close();
  expect(error).toBeInstanceOf(MorphlingError);
  return (error as MorphlingError).code;
}

describe('createPageFetcher', () => {
  test('gives the text of a page', async () => {
    const page = await serveMetricsPage('up 1\n');
    pages.push(page);
    const fetcher = createPageFetcher();
    expect(await fetcher.fetch(page.url)).toBe('up 1\n');
    await fetcher.close();
  });

  test('a server that never answers, and one that stops halfway, time out', async () => {
    expect(await failureOf(() => undefined)).toBe('TIMED_OUT');
    expect(await failureOf((_, response) => void response.write('up '))).toBe('TIMED_OUT');
  });

  test('an endless page is cut off', async () => {
    const code = await failureOf((_, response) => {
      const timer = setInterval(() => response.write('x'.repeat(4096)), 1);
      response.on('close', () => clearInterval(timer));
    }, 2000);
    expect(code).toBe('BAD_RESPONSE');
  });

  test('another status, and a redirect, are no page', async () => {
    expect(await failureOf((_, response) => void response.writeHead(404).end())).toBe('BAD_RESPONSE');
    expect(await failureOf((_, response) => void response.writeHead(302, { location: '/x' }).end())).toBe(
      'BAD_RESPONSE',
    );
  });

  test('a connection that is reset is unreachable', async () => {
    expect(await failureOf((request) => void request.socket.destroy())).toBe('UNREACHABLE');
  });
});
