import { request } from 'node:http';
import { connect } from 'node:net';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TokenFile } from '../../../sidecar/control/token.ts';
import { toRoutes } from '../../../src/api/openapi.ts';
import type { Problem } from '../../../src/api/problem.ts';
import { checkValue } from '../../../src/config/check.ts';
import { ProblemSchema } from '../../../src/api/problem.ts';
import { createRandom } from '../../../src/core/random.ts';
import { type Rig, startRig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(async () => {
  await rig.close();
  rmSync(rig.dir, { recursive: true, force: true });
});

/** With headers that fetch would not send. */
function raw(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: rig.port, method, path, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Through the app without a socket: a tenth of the time. */
function direct(method: string, path: string, body: string, authorization: string): Promise<Response> {
  const headers = { host: 'localhost', 'content-type': 'application/json', authorization };
  return Promise.resolve(rig.app.request(`http://localhost${path}`, { method, headers, body }));
}

async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Problem;
  expect(checkValue(ProblemSchema, problem)).toEqual([]);
  expect(problem.status).toBe(response.status);
  return problem;
}

describe('reading', () => {
  test('needs no token, and every answer is what its schema says', async () => {
    for (const route of toRoutes()) {
      if (route.method !== 'get' || route.path === '/v1/stream') continue;
      const response = await rig.call('GET', route.path, undefined, { authorization: '' });
      expect([route.path, response.status]).toEqual([route.path, 200]);
      expect([route.path, checkValue(route.answer, await response.json())]).toEqual([route.path, []]);
    }
  });

  test('settings are listed by model with generation and source', async () => {
    expect(await (await rig.call('GET', '/v1/settings')).json()).toEqual({
      models: {
        resnet: {
          settings: { batchSize: 64, batchDelayMs: 0, concurrency: 1, switches: {} },
          generation: 1,
          source: 'start',
        },
      },
    });
  });

  test('readiness is 503 while the model is not ready; being alive does not depend on the model', async () => {
    rig.isReady = false;
    expect((await rig.call('GET', '/ready')).status).toBe(503);
    expect((await rig.call('GET', '/live')).status).toBe(200);
  });

  test('the OpenAPI document names exactly the routes there are', async () => {
    const document = (await (await rig.call('GET', '/openapi.json')).json()) as {
      openapi: string;
      paths: Record<string, object>;
    };
    expect(document.openapi).toBe('3.1.0');
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const method of Object.keys(operations)) {
        if (path === '/v1/stream') continue;
        const response = await rig.call(method.toUpperCase(), path);
        expect([path, response.status === 404]).toEqual([path, false]);
      }
    }
  });

  test('what is not there is a 404 problem, also what comes later', async () => {
    for (const path of ['/', '/v1', '/v1/recommendation', '/v1/statusx']) {
      const problem = await problemOf(await rig.call('GET', path));
      expect(problem).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    }
  });
});

describe('writing', () => {
  test('part of the settings is laid over those in force, through a trial unless immediate', async () => {
    const response = await rig.call('PUT', '/v1/settings', { batchSize: 8 });
    expect(await response.json()).toEqual({
      model: 'resnet',
      result: 'applied',
      settings: { batchSize: 8, batchDelayMs: 0, concurrency: 1, switches: {} },
      generation: 2,
      source: 'user',
    });
    await rig.call('PUT', '/v1/settings?model=resnet&immediate=true', { concurrency: 2 });
    expect(rig.writes).toMatchObject([
      { model: 'resnet', isImmediate: false },
      { isImmediate: true, settings: { batchSize: 8, concurrency: 2 } },
    ]);
  });

  test('every bad field is named at once', async () => {
    const problem = await problemOf(await rig.call('PUT', '/v1/settings', { batchSize: 1000, batchDelayMs: -1 }));
    expect(problem).toMatchObject({ status: 422, code: 'BAD_SETTINGS', type: 'urn:morphling:error:BAD_SETTINGS' });
    expect(problem.issues?.map(({ field }) => field)).toEqual(['batchDelayMs']);
    const bounds = await problemOf(await rig.call('PUT', '/v1/settings', { batchSize: 1000, concurrency: 1000 }));
    expect(bounds.issues?.map(({ field }) => field)).toEqual(['batchSize', 'concurrency']);
  });

  test('where there are several models, one must be named; an unknown one is not found', async () => {
    rig.models = ['a', 'b'];
    const problem = await problemOf(await rig.call('PUT', '/v1/settings', { batchSize: 8 }));
    expect(problem.issues?.[0]).toEqual({
      field: 'model',
      expected: 'one of a, b, since there are several',
      got: 'nothing',
    });
    expect((await rig.call('PUT', '/v1/settings?model=b', { batchSize: 8 })).status).toBe(200);
    expect((await rig.call('POST', '/v1/rollback?model=c')).status).toBe(404);
    expect((await rig.call('GET', '/v1/explain')).status).toBe(400);
    rig.models = [];
    expect((await rig.call('PUT', '/v1/settings', {})).status).toBe(404);
  });

  test('a parameter that nothing reads is refused with the nearest known one', async () => {
    const problem = await problemOf(await rig.call('PUT', '/v1/settings?imediate=true', { batchSize: 8 }));
    expect(problem.issues?.[0]?.expected).toBe('no such key; did you mean immediate?');
    for (const query of ['immediate=yes', 'model=a&model=b']) {
      expect((await rig.call('PUT', `/v1/settings?${query}`, {})).status).toBe(400);
    }
    for (const limit of ['0', '1001', 'x', '1.5', ''])
      expect((await rig.call('GET', `/v1/history?limit=${limit}`)).status).toBe(400);
    expect(rig.writes).toEqual([]);
  });

  test('policy, pause, resume, bypass and rollback do what they say', async () => {
    expect(await (await rig.call('PUT', '/v1/policy', { mode: 'cost', sla: { p99Ms: 85 } })).json()).toMatchObject({
      mode: 'cost',
      sla: { p99Ms: 85, errorRate: 0.01 },
    });
    expect((await problemOf(await rig.call('PUT', '/v1/policy', { mode: 'fast' }))).issues?.[0]?.field).toBe('mode');
    expect(await (await rig.call('POST', '/v1/pause')).json()).toEqual({ isBypass: false, isPaused: true });
    expect(await (await rig.call('POST', '/v1/bypass', { on: true })).json()).toEqual({
      isBypass: true,
      isPaused: true,
    });
    expect(await (await rig.call('POST', '/v1/resume', {})).json()).toEqual({ isBypass: true, isPaused: false });
    expect((await rig.call('POST', '/v1/bypass')).status).toBe(400);
    expect((await rig.call('POST', '/v1/bypass', { on: 1 })).status).toBe(400);
    expect(await (await rig.call('POST', '/v1/rollback')).json()).toMatchObject({ result: 'unchanged' });
  });

  test('every write leaves an audit line, without token or body', async () => {
    await rig.call('PUT', '/v1/settings', { batchSize: 8 });
    const lines = rig.logs.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { message: 'control write', method: 'PUT', path: '/v1/settings', status: 200, by: 'token' },
    ]);
    expect(rig.logs.join()).not.toContain(rig.token);
  });

  test('a fault of our own is a 500 that tells nothing, and is logged', async () => {
    Object.assign(rig.deps, {
      putPolicy: () => {
        throw new Error('secret detail');
      },
    });
    const problem = await problemOf(await rig.call('PUT', '/v1/policy', {}));
    expect(problem).toMatchObject({ code: 'INTERNAL', detail: 'see the log of the agent' });
    expect(rig.logs.join()).toContain('control request failed');
  });
});

describe('who may not', () => {
  const bad: [string, Record<string, string>][] = [
    ['no token', { authorization: '' }],
    ['a wrong token', { authorization: `Bearer ${'x'.repeat(43)}` }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['a scheme of another kind', { authorization: 'Basic dG9rZW4=' }],
    ['a made-up session', { authorization: '', cookie: 'morphling_session=abc', origin: 'http://127.0.0.1' }],
  ];
  test.each(bad)('write with %s', async (_, headers) => {
    for (const [method, path] of [
      ['PUT', '/v1/settings'],
      ['PUT', '/v1/policy'],
      ['POST', '/v1/pause'],
      ['POST', '/v1/session'],
      ['DELETE', '/v1/policy'],
      ['PATCH', '/nowhere'],
    ] as const) {
      const response = await rig.call(method, path, { batchSize: 8 }, headers);
      expect([401, 403]).toContain(response.status);
    }
    expect(rig.writes).toEqual([]);
  });

  test('write with the token in the query, or half of it, or it and more', async () => {
    for (const [path, token] of [
      [`/v1/pause?token=${rig.token}`, ''],
      ['/v1/pause', rig.token.slice(0, -1)],
      ['/v1/pause', `${rig.token}x`],
    ] as const) {
      expect((await rig.call('POST', path, undefined, { authorization: `Bearer ${token}` })).status).toBe(401);
    }
    expect(rig.writes).toEqual([]);
  });

  test.each([
    'evil.example',
    'evil.example:9465',
    '127.0.0.1.evil.example',
    'localhost.evil',
    '169.254.169.254',
    '[::2]',
    '127.0.0.1:80:80',
    ' ',
  ])('read or write under the Host %j', async (host) => {
    for (const method of ['GET', 'PUT']) {
      const { status } = await raw(method, '/v1/settings', { host, authorization: `Bearer ${rig.token}` });
      expect([400, 403]).toContain(status);
    }
    expect(rig.writes).toEqual([]);
  });

  test.each(['localhost:9465', '127.0.0.1:12345', '[::1]:9465', 'LOCALHOST'])(
    'but may under the Host %j',
    async (host) => {
      expect((await raw('GET', '/v1/settings', { host })).status).toBe(200);
    },
  );

  test('write or read from a page of another site, even with the token', async () => {
    for (const origin of [
      'http://evil.example',
      'null',
      'https://127.0.0.1',
      `http://127.0.0.1:${rig.port + 1}`,
      'http://localhost',
    ]) {
      for (const method of ['GET', 'POST']) {
        const response = await rig.call(method, method === 'GET' ? '/v1/status' : '/v1/pause', undefined, { origin });
        expect(response.status).toBe(403);
      }
    }
    const preflight = await rig.call('OPTIONS', '/v1/policy', undefined, { origin: rig.url, authorization: '' });
    expect(preflight.status).toBe(401);
    expect([...preflight.headers.keys()].some((name) => name.startsWith('access-control'))).toBe(false);
    expect(rig.writes).toEqual([]);
  });

  test('write what a form could send', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      '',
    ]) {
      const response = await rig.call('PUT', '/v1/settings', '{"batchSize": 8}', { 'content-type': type });
      expect(response.status).toBe(415);
    }
    expect(rig.writes).toEqual([]);
  });

  test('write more than the limit, announced or in chunks without end', async () => {
    const headers = { host: 'localhost', authorization: `Bearer ${rig.token}`, 'content-type': 'application/json' };
    const large = JSON.stringify({ mode: 'x'.repeat(70_000) });
    expect((await raw('PUT', '/v1/policy', headers, large)).status).toBe(413);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(rig.port, '127.0.0.1');
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
      socket.on('error', () => undefined);
      socket.write(
        `PUT /v1/policy HTTP/1.1\r\n${Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}transfer-encoding: chunked\r\n\r\n`,
      );
      const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
      const feed = (): void => {
        if (!socket.destroyed && socket.writable) socket.write(chunk, () => setImmediate(feed));
      };
      feed();
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(rig.writes).toEqual([]);
  });

  test('go round the check by tricks with the path', async () => {
    for (const path of [
      '//v1/pause',
      '/v1//pause',
      '/v1/%70ause',
      '/v1/x/../pause',
      '/v1/x/%2e%2e/pause',
      '/v1/pause;a=b',
      '/v1/pause%00',
      '/%2576%2531/pause',
      '/V1/PAUSE',
      '/v1/pause/',
      '/v1\\pause',
      'http://evil/v1/pause',
    ]) {
      for (const method of ['POST', 'post', 'PUT', 'DELETE', 'PROPFIND']) {
        const { status } = await raw(method, path, { host: 'localhost' }).catch(() => ({ status: 400 }));
        expect(status, `${method} ${path}`).toBeGreaterThanOrEqual(400);
      }
      await raw('GET', path, { host: 'localhost', 'x-http-method-override': 'POST' }).catch(() => undefined);
    }
    expect(rig.writes).toEqual([]);
  });

  test('try again and again: failures are limited, yet the right token always passes', async () => {
    const statuses: number[] = [];
    for (let index = 0; index < 20; index++)
      statuses.push((await rig.call('POST', '/v1/pause', undefined, { authorization: 'Bearer x' })).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.at(-1)).toBe(429);
    expect(rig.logs).toHaveLength(10);
    expect((await rig.call('POST', '/v1/pause')).status).toBe(200);
    rig.clock.ms += 2000;
    expect((await rig.call('POST', '/v1/pause', undefined, { authorization: 'Bearer x' })).status).toBe(401);
  });

  test('10,000 random JSON bodies without the token: 0 writes, and the port still answers', async () => {
    const random = createRandom(16);
    const paths = toRoutes().flatMap(({ method, path }) =>
      method === 'get' ? [] : [[method.toUpperCase(), path] as const],
    );
    const values = [
      () => null,
      () => random.int(1e6),
      () => 'x'.repeat(random.int(40)),
      () => ({ batchSize: random.int(9), on: true, mode: 'cost' }),
      () => [[[]]],
      () => ({ ['__proto__']: { on: true } }),
    ];
    const statuses = new Set<number>();
    const send = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index++) {
        const [method, path] = paths[random.int(paths.length)] ?? ['PUT', '/v1/policy'];
        const body = JSON.stringify(values[random.int(values.length)]?.());
        const authorization = random.int(2) === 0 ? '' : `Bearer ${random.int(1e9)}`;
        const response = await (index % 20 === 0
          ? rig.call(method, path, body, { authorization })
          : direct(method, path, body, authorization));
        statuses.add(response.status);
        await response.arrayBuffer();
      }
    };
    await Promise.all(Array.from({ length: 10 }, () => send(1000)));
    expect([...statuses].sort((a, b) => a - b)).toEqual([401, 429]);
    expect(rig.writes).toEqual([]);
    expect((await rig.call('GET', '/v1/status')).status).toBe(200);
  });

  test('2,000 random JSON bodies with the token: each is an answer or a problem, never a fault of ours', async () => {
    const random = createRandom(17);
    const words = [
      'batchSize',
      'batchDelayMs',
      'switches',
      'mode',
      'sla',
      'p99Ms',
      'trial',
      'stages',
      'on',
      '__proto__',
      'constructor',
    ];
    const value = (depth: number): unknown => {
      switch (random.int(depth > 3 ? 5 : 7)) {
        case 0:
          return null;
        case 1:
          return random.int(100) - 50;
        case 2:
          return random.next() * 1e300;
        case 3:
          return words[random.int(words.length)];
        case 4:
          return random.int(2) === 0;
        case 5:
          return Array.from({ length: random.int(4) }, () => value(depth + 1));
        default:
          return Object.fromEntries(
            Array.from({ length: random.int(4) }, () => [words[random.int(words.length)], value(depth + 1)]),
          );
      }
    };
    const paths = toRoutes().flatMap(({ method, path }) =>
      method === 'get' ? [] : [[method.toUpperCase(), path] as const],
    );
    for (let index = 0; index < 2000; index++) {
      const [method, path] = paths[index % paths.length] ?? ['PUT', '/v1/policy'];
      const response = await direct(method, path, JSON.stringify(value(0)), `Bearer ${rig.token}`);
      expect(response.status, `${method} ${path}`).toBeLessThan(500);
      await response.arrayBuffer();
    }
    expect(rig.logs.join('')).not.toContain('control request failed');
  });
});

describe('the session of the page', () => {
  test('is bought with the token, writes only from our own page, and ends', async () => {
    const response = await rig.call('POST', '/v1/session');
    expect(response.status).toBe(201);
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^morphling_session=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/);
    const held = { authorization: '', cookie: `other=1; ${cookie.split(';')[0]}` };
    expect((await rig.call('POST', '/v1/pause', undefined, { ...held, origin: rig.url })).status).toBe(200);
    expect((await rig.call('POST', '/v1/pause', undefined, held)).status).toBe(401);
    expect((await rig.call('POST', '/v1/pause', undefined, { ...held, origin: 'http://evil.example' })).status).toBe(
      403,
    );
    expect((await rig.call('POST', '/v1/session', undefined, { ...held, origin: rig.url })).status).toBe(401);
    rig.clock.ms += 43_200_000;
    expect((await rig.call('POST', '/v1/pause', undefined, { ...held, origin: rig.url })).status).toBe(401);
  });
});

describe('the token file', () => {
  test('is made once with mode 0600 and read again when it is replaced', async () => {
    expect(statSync(rig.deps.token.path).mode & 0o777).toBe(0o600);
    expect(new TokenFile(rig.deps.token.path).ensure()).toBeNull();
    expect(readdirSync(rig.dir)).toEqual(['token']);
    expect((await rig.call('POST', '/v1/pause')).status).toBe(200);
    const next = 'n'.repeat(40);
    writeFileSync(rig.deps.token.path, `${next}\n`);
    expect((await rig.call('POST', '/v1/pause')).status).toBe(401);
    expect((await rig.call('POST', '/v1/pause', undefined, { authorization: `Bearer ${next}` })).status).toBe(200);
  });

  test('that is empty, short or gone lets nobody in', async () => {
    writeFileSync(rig.deps.token.path, '');
    expect(rig.deps.token.matches('')).toBe(false);
    writeFileSync(rig.deps.token.path, 'short');
    expect(rig.deps.token.matches('short')).toBe(false);
    expect(new TokenFile(rig.deps.token.path).ensure()).toContain('at least 32');
    rmSync(rig.deps.token.path);
    expect(rig.deps.token.matches(rig.token)).toBe(false);
    expect((await rig.call('POST', '/v1/pause')).status).toBe(401);
  });

  test('that cannot be made is a sentence, not an exception', () => {
    writeFileSync(`${rig.dir}/file`, '');
    expect(new TokenFile(`${rig.dir}/file/token`).ensure()).toMatch(/ENOTDIR|EEXIST/);
  });
});

test('a port that is taken is told as such', async () => {
  const { listen } = await import('../../../sidecar/control/listen.ts');
  await expect(listen({ fetch: () => new Response() }, { host: '127.0.0.1', port: rig.port })).rejects.toMatchObject({
    code: 'UNREACHABLE',
  });
});
