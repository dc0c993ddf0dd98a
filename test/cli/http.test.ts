import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { createHttp } from '../../src/cli/http.ts';
import { toExitCode } from '../../src/cli/exit-codes.ts';
import { MorphlingError } from '../../src/core/errors.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Seen {
  method: string | undefined;
  url: string | undefined;
  authorization: string | undefined;
  body: string;
}

async function serve(answer: (response: ServerResponse, seen: Seen) => void): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () =>
      answer(response, {
        method: request.method,
        url: request.url,
        authorization: request.headers.authorization,
        body,
      }),
    );
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
}

const signal = new AbortController().signal;

async function failureOf(promise: Promise<unknown>): Promise<MorphlingError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MorphlingError)) throw new Error(`expected a MorphlingError, got ${String(error)}`);
  return error;
}

describe('the HTTP client', () => {
  test('sends JSON and the token, reads JSON', async () => {
    const url = await serve((response, seen) => response.end(JSON.stringify(seen)));
    const http = createHttp(url, { timeoutMs: 5000, signal, token: 'secret' });
    expect(await http.putJson('/v1/settings?model=a', { batchSize: 4 })).toEqual({
      method: 'PUT',
      url: '/v1/settings?model=a',
      authorization: 'Bearer secret',
      body: '{"batchSize":4}',
    });
  });

  test('an empty answer is undefined, not an error', async () => {
    const url = await serve((response) => response.writeHead(204).end());
    expect(await createHttp(url, { timeoutMs: 5000, signal }).postJson('/v1/pause')).toBeUndefined();
  });

  test.each([
    [401, 'UNAUTHORISED', 1],
    [404, 'NOT_FOUND', 1],
    [400, 'BAD_REQUEST', 1],
    [504, 'TIMED_OUT', 4],
    [500, 'INTERNAL', 1],
  ])('a problem with status %i becomes %s in its own words', async (status, code, exit) => {
    const url = await serve((response) =>
      response.writeHead(status, { 'content-type': 'application/problem+json' }).end('{"title":"T","detail":"why"}'),
    );
    const error = await failureOf(createHttp(url, { timeoutMs: 5000, signal }).getJson('/x'));
    expect(error.code).toBe(code);
    expect(error.message).toContain('why');
    expect(toExitCode(error.code)).toBe(exit);
  });

  test('nobody there: unreachable, exit 3', async () => {
    const url = await serve((response) => response.end());
    servers.splice(0).forEach((server) => server.close());
    const error = await failureOf(createHttp(url, { timeoutMs: 5000, signal }).getJson('/x'));
    expect(error.code).toBe('UNREACHABLE');
    expect(toExitCode(error.code)).toBe(3);
  });

  test('no answer in time: timed out, exit 4', async () => {
    const url = await serve(() => {});
    const error = await failureOf(createHttp(url, { timeoutMs: 100, signal }).getJson('/x'));
    expect(error.code).toBe('TIMED_OUT');
    expect(toExitCode(error.code)).toBe(4);
  });

  test('an answer that trickles for ever also times out', async () => {
    const url = await serve((response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    const error = await failureOf(createHttp(url, { timeoutMs: 200, signal }).getJson('/x'));
    expect(error.code).toBe('TIMED_OUT');
  });

  test("another program's page is called what it is", async () => {
    const url = await serve((response) => response.end('<html>'));
    const error = await failureOf(createHttp(url, { timeoutMs: 5000, signal }).getJson('/v1/status'));
    expect(error.code).toBe('BAD_RESPONSE');
    expect(error.message).toContain("is it an agent's control port?");
  });
});
