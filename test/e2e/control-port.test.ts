// The control port of a running agent under attack, and its logs afterwards: nothing is written by whoever may not, it is
// not reachable from outside, and no secret of a caller or of ours is in anything that it said.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { ask, type Answered } from '../support/peers/http-ask.ts';
import { predictOne, startModelProcess, type ModelProcess } from '../support/peers/model-process.ts';
import { connectRaw } from '../support/peers/raw-client.ts';
import { printFigure, readScale, scaled } from '../support/scale.ts';

const scale = readScale();
/** What callers send in confidence. */
const CANARIES = {
  body: 'canary-body-5f21',
  bearer: 'canary-bearer-a7c0',
  cookie: 'canary-cookie-9d3e',
  query: 'canary-query-41bb',
  header: 'canary-header-c8f4',
};

let model: ModelProcess;
let agent: AgentProcess;
let token = '';
let pid: number | null = null;
beforeAll(async () => {
  model = await startModelProcess(1, 0.1);
  agent = await startAgent(model.origin, { logLevel: 'debug' });
  token = readFileSync(join(agent.stateDir, 'token'), 'utf8').trim();
  pid = agent.pidOf('data');
  expect((await ask(agent.port, predictOne('first'))).status).toBe(200);
});
afterAll(async () => {
  await agent.stop();
  await model.close();
});

const host = (): string => `127.0.0.1:${agent.controlPort}`;
const bearer = (value = token): string[] => ['Authorization', `Bearer ${value}`];
const JSON_TYPE = ['Content-Type', 'application/json'];

async function send(method: string, path: string, headers: readonly string[], body?: string): Promise<Answered> {
  const sent = body === undefined ? {} : { body };
  return ask(agent.controlPort, { method, path, headers, setsHost: true, ...sent });
}

/** Everything that a write could change. */
async function readAll(): Promise<string> {
  const read = async (path: string): Promise<string> => (await send('GET', path, ['Host', host()])).body.toString();
  const { isPaused, isBypass, mode } = JSON.parse(await read('/v1/status')) as Record<string, unknown>;
  return JSON.stringify([await read('/v1/settings'), await read('/v1/policy'), isPaused, isBypass, mode]);
}

test('whoever may not write writes nothing, whatever they try', async () => {
  const before = await readAll();
  const flip = async (headers: readonly string[], path = '/v1/bypass', body = '{"on":true}'): Promise<number> =>
    (await send('POST', path, [...headers, ...JSON_TYPE], body)).status;
  const half = token.slice(0, token.length / 2);
  const refusedBy: [string, Promise<number>][] = [
    ['no token', flip(['Host', host()])],
    ['an empty token', flip(['Host', host(), ...bearer('')])],
    ['a wrong token', flip(['Host', host(), ...bearer('x'.repeat(token.length))])],
    ['half of it', flip(['Host', host(), ...bearer(half)])],
    ['it and more', flip(['Host', host(), ...bearer(`${token}x`)])],
    ['another scheme', flip(['Host', host(), 'Authorization', `Basic ${Buffer.from(token).toString('base64')}`])],
    ['the token in the query', flip(['Host', host()], `/v1/bypass?token=${token}&access_token=${token}`)],
    ['the token in a cookie', flip(['Host', host(), 'Cookie', `token=${token}; session=${token}`])],
    ['a made-up session', flip(['Host', host(), 'Origin', `http://${host()}`, 'Cookie', 'morphling_session=x'])],
    ['another host (DNS rebinding)', flip(['Host', 'evil.example', ...bearer()])],
    ['a host that ends like ours', flip(['Host', `127.0.0.1.evil.example:${agent.controlPort}`, ...bearer()])],
    ['another origin', flip(['Host', host(), 'Origin', 'http://evil.example', ...bearer()])],
    ['no origin at all', flip(['Host', host(), 'Origin', 'null', ...bearer()])],
    ...[
      '/v1/%62ypass',
      '//v1/bypass',
      '/v1/../v1/bypass',
      '/v1/%2e%2e/v1/bypass',
      '/v1/bypass;x',
      '/v1/bypass/',
      '/V1/BYPASS',
    ].map((path): [string, Promise<number>] => [`the path ${path}`, flip(['Host', host()], path)]),
  ];
  for (const [what, status] of refusedBy)
    expect([what, await status]).toEqual([what, expect.toSatisfy((s: number) => s >= 400)]);
  // A body without end: counted, not believed.
  const client = await connectRaw(agent.controlPort);
  const head = `POST /v1/bypass HTTP/1.1\r\nHost: ${host()}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
  client.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  for (let i = 0; i < 64; i++) client.write(chunk);
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 413 /);
  expect(await readAll()).toBe(before);
});

test('random bodies: without the token nothing is written, with it nothing but what is right; nothing breaks', async () => {
  const before = await readAll();
  const random = createRandom(16);
  const words = ['on', 'batchSize', 'concurrency', 'switches', 'mode', 'sla', '__proto__', 'constructor', 'a'];
  const make = (depth: number): unknown => {
    const draw = random.int(depth > 3 ? 5 : 8);
    if (draw === 0) return null;
    if (draw === 1) return random.next() < 0.5;
    if (draw === 2) return (random.next() - 0.5) * 10 ** random.int(300);
    if (draw <= 4) return String.fromCodePoint(...Array.from({ length: random.int(9) }, () => random.int(0xd7ff)));
    if (draw === 5) return Array.from({ length: random.int(4) }, () => make(depth + 1));
    return Object.fromEntries(
      Array.from({ length: random.int(4) }, () => [words[random.int(words.length)], make(depth + 1)]),
    );
  };
  const paths = [
    '/v1/bypass',
    '/v1/policy',
    '/v1/settings?model=m',
    '/v1/pause',
    '/v1/session',
    '/v1/rollback?model=m',
  ];
  const count = scaled(10_000, scale);
  const statuses: Record<number, number> = {};
  for (let i = 0; i < count; i++) {
    const text = JSON.stringify(make(0)) ?? '';
    const body = random.next() < 0.2 ? text.slice(0, random.int(text.length + 1)) : text;
    const method = random.next() < 0.5 ? 'PUT' : 'POST';
    const { status } = await send(method, paths[random.int(paths.length)]!, ['Host', host(), ...JSON_TYPE], body);
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
  printFigure('control', { 'bodies (of 10000)': count, statuses: JSON.stringify(statuses) });
  // 401 without the token; 429 once it has been tried too often.
  expect(Object.keys(statuses).every((status) => ['401', '404', '429'].includes(status))).toBe(true);
  expect(await readAll()).toBe(before);
  for (let i = 0; i < count / 10; i++) {
    const { status } = await send(
      'PUT',
      '/v1/policy',
      ['Host', host(), ...JSON_TYPE, ...bearer()],
      `{"x":${JSON.stringify(make(0))}}`,
    );
    expect(status).toSatisfy((code: number) => code >= 400 && code < 500);
  }
  expect(await readAll()).toBe(before);
  expect(agent.pidOf('data')).toBe(pid);
});

test('it is there on loopback only', async () => {
  const addresses = Object.values(networkInterfaces())
    .flat()
    .filter((one) => one !== undefined && !one.internal && !one.address.startsWith('fe80'))
    .map((one) => one!.address);
  for (const address of addresses) {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect({ host: address, port: agent.controlPort, timeout: 1000 });
      const end = (what: string) => () => {
        resolve(what);
        socket.destroy();
      };
      socket.once('connect', end('connected'));
      socket.once('timeout', end('timeout'));
      socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error')());
    });
    expect([address, answer]).not.toEqual([address, 'connected']);
  }
  printFigure('control bind', { 'addresses tried besides loopback': addresses.length });
  // What the kernel says, also where this machine has no other address.
  const hex = agent.controlPort.toString(16).toUpperCase().padStart(4, '0');
  const listening = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`:${hex} 00000000:0000 0A`));
  expect(listening.map((line) => line.trim().split(/\s+/)[1])).toEqual([`0100007F:${hex}`]);
});

test('no secret of a caller or of ours is in any log, page or file of the agent', async () => {
  const secret = (nonce: string) =>
    predictOne(`${CANARIES.body}-${nonce}`, [
      'Authorization',
      `Bearer ${CANARIES.bearer}`,
      'Cookie',
      `s=${CANARIES.cookie}`,
      'X-Api-Key',
      CANARIES.header,
      'Proxy-Authorization',
      CANARIES.header,
    ]);
  const asks = [
    secret('good'),
    { ...secret('query'), path: `/v1/models/m:predict?key=${CANARIES.query}` },
    { ...secret('torn'), body: `{"instances":["${CANARIES.body}"` },
    { ...secret('other'), path: `/other?key=${CANARIES.query}` },
    { ...secret('late'), headers: [...secret('late').headers!, 'X-Request-Timeout-Ms', '1'] },
    { ...secret('get'), method: 'GET', path: `/v1/models/m?key=${CANARIES.query}` },
  ];
  for (let i = 0; i < 3; i++) for (const one of asks) await ask(agent.port, one).catch(() => undefined);
  await model.setErrors(1);
  for (const one of asks) await ask(agent.port, one).catch(() => undefined);
  await model.kill();
  for (let i = 0; i < 3; i++) for (const one of asks) await ask(agent.port, one).catch(() => undefined);
  const raw = await connectRaw(agent.port);
  raw.write(
    `POST / HTTP/1.1\r\nHost: m\r\nAuthorization: ${CANARIES.bearer}\r\nContent-Length: +1\r\n\r\n${CANARIES.body}`,
  );
  await raw.closed();
  await send(
    'POST',
    '/v1/bypass',
    ['Host', host(), ...bearer(CANARIES.bearer), ...JSON_TYPE],
    `{"on":"${CANARIES.body}"}`,
  );
  await send(
    'PUT',
    '/v1/settings?model=m',
    ['Host', host(), ...bearer(), ...JSON_TYPE],
    `{"batchSize":"${CANARIES.body}"}`,
  );
  await send('POST', '/v1/session', ['Host', host(), 'Origin', `http://${host()}`, ...bearer(), ...JSON_TYPE], '{}');
  kill(agent.pidOf('data'));
  await expect.poll(() => agent.logs.filter((line) => line.includes('data ready')).length, { timeout: 30_000 }).toBe(2);
  const said: Record<string, string> = { logs: agent.logs.join('\n') };
  for (const path of ['/metrics', '/ready'])
    said[path] = (await ask(agent.metricsPort, { method: 'GET', path })).body.toString();
  for (const path of ['/v1/status', '/v1/history', '/v1/snapshot', '/v1/explain?model=m']) {
    said[path] = (await send('GET', path, ['Host', host()])).body.toString();
  }
  for (const name of readdirSync(agent.stateDir)) {
    const file = join(agent.stateDir, name);
    if (name !== 'token' && statSync(file).isFile()) said[name] = readFileSync(file, 'latin1');
  }
  for (const [where, text] of Object.entries(said)) {
    for (const canary of [...Object.values(CANARIES), token])
      expect([where, canary, text.includes(canary)]).toEqual([where, canary, false]);
  }
  const lines = agent.logs.length;
  printFigure('canaries', { 'log lines': lines, hits: 0, places: Object.keys(said).length });
  expect(lines).toBeGreaterThan(10);
  // Every line is one JSON object: nothing of a caller's could forge one.
  for (const line of agent.logs) expect(() => JSON.parse(line) as unknown).not.toThrow();
});

function kill(child: number | null): void {
  if (child !== null) process.kill(child, 'SIGKILL');
}
