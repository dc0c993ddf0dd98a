import { connect, type Socket } from 'node:net';
import { readdirSync, rmSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createMetricsApp } from '../../../sidecar/control/metrics-http.ts';
import { DEFAULT_POLICY } from '../../../src/core/policy.ts';
import { type Rig, startRig, statusOf } from './rig.ts';

let rig: Rig;
afterEach(async () => {
  await rig.close();
  rmSync(rig.dir, { recursive: true, force: true });
});

const change = { event: 'switches', data: { isBypass: true, isPaused: false } } as const;
const until = (isTrue: () => boolean) => vi.waitFor(() => expect(isTrue()).toBe(true), { timeout: 5000, interval: 5 });

/** An open stream as a bare socket, with everything it got. */
async function open(headers = ''): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(rig.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => undefined);
  socket.write(`GET /v1/stream HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`);
  await until(() => text.includes('\r\n\r\n') && text.length > 100);
  return { socket, text: () => text };
}

describe('the stream', () => {
  test('begins with the status, then brings what happens', async () => {
    rig = await startRig();
    const { socket, text } = await open();
    expect(text()).toContain('content-type: text/event-stream');
    expect(text()).toContain(
      `id: 0\nevent: hello\ndata: ${JSON.stringify(statusOf(DEFAULT_POLICY, false, false))}\n\n`,
    );
    rig.hub.publish(change);
    await until(() => text().includes('id: 1\nevent: switches\ndata: {"isBypass":true,"isPaused":false}\n\n'));
    socket.destroy();
  });

  test('a HEAD request holds no place', async () => {
    rig = await startRig();
    expect((await rig.call('HEAD', '/v1/stream')).status).toBe(200);
    expect(rig.hub.clients).toBe(0);
  });

  test('gives a client that comes back what it missed', async () => {
    rig = await startRig({ replayed: 2 });
    for (let index = 0; index < 4; index++) rig.hub.publish(change);
    const { socket, text } = await open('last-event-id: 3\r\n');
    expect(text()).toContain('id: 4\n');
    expect(text()).not.toContain('id: 3\n');
    socket.destroy();
  });

  test('refuses one client more than there is room for, and takes it when another leaves', async () => {
    rig = await startRig({ maxClients: 2 });
    const first = await open();
    await open();
    const refused = await rig.call('GET', '/v1/stream');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    first.socket.destroy();
    await until(() => rig.hub.clients === 1);
    (await open()).socket.destroy();
  });

  test('cuts off a client that does not read, and keeps the others', async () => {
    rig = await startRig({ maxUnreadBytes: 100_000 });
    const hung = await open();
    const well = await open();
    hung.socket.pause();
    const large = {
      event: 'hello',
      data: { ...statusOf(DEFAULT_POLICY, false, false), upstream: 'x'.repeat(200_000) },
    } as const;
    for (let index = 0; index < 100 && rig.hub.clients === 2; index++) {
      rig.hub.publish(large);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => rig.hub.clients === 1);
    rig.hub.publish(change);
    await until(() => well.text().includes('event: switches'));
    well.socket.destroy();
  });

  test('a heartbeat keeps it open, and stops with the last client', async () => {
    rig = await startRig({ heartbeatMs: 10 });
    const [started, stopped] = [vi.spyOn(globalThis, 'setInterval'), vi.spyOn(globalThis, 'clearInterval')];
    const { socket, text } = await open();
    await until(() => text().includes(': beat\n\n'));
    socket.destroy();
    await until(() => rig.hub.clients === 0);
    const beat = started.mock.calls.findIndex(([, everyMs]) => everyMs === 10);
    expect(stopped).toHaveBeenCalledWith(started.mock.results[beat]?.value);
    vi.restoreAllMocks();
  });

  test('1,000 streams opened and killed leave no client, no file and no timer behind', async () => {
    rig = await startRig({ maxClients: 64 });
    (await open()).socket.destroy();
    await until(() => rig.hub.clients === 0);
    const files = () => readdirSync('/proc/self/fd').length;
    const before = files();
    for (let round = 0; round < 20; round++) {
      const streams = await Promise.all(Array.from({ length: 50 }, () => open()));
      rig.hub.publish(change);
      for (const [index, { socket }] of streams.entries()) {
        if (index % 2 === 0) socket.resetAndDestroy();
        else socket.destroy();
      }
      await until(() => rig.hub.clients === 0);
    }
    await until(() => files() <= before + 5);
  });

  test('ends when the agent ends', async () => {
    rig = await startRig();
    const { socket } = await open();
    rig.hub.close();
    await until(() => socket.readableEnded || socket.destroyed || rig.hub.clients === 0);
    socket.destroy();
  });
});

describe('the metrics port', () => {
  test('serves the page and the probes, and nothing else', async () => {
    rig = await startRig();
    let isReady = false;
    const app = createMetricsApp({
      metrics: { render: (accept) => Promise.resolve({ contentType: 'text/plain', body: `accept ${accept}` }) },
      readiness: () => ({ isReady, agent: true, model: isReady, reason: 'the model is not ready' }),
    });
    const page = await app.request('/metrics', { headers: { accept: 'x/y' } });
    expect([page.headers.get('content-type'), await page.text()]).toEqual(['text/plain', 'accept x/y']);
    expect((await app.request('/ready')).status).toBe(503);
    isReady = true;
    expect((await app.request('/ready')).status).toBe(200);
    expect((await app.request('/live')).status).toBe(200);
    for (const path of ['/', '/v1/settings', '/token']) expect((await app.request(path)).status).toBe(404);
    expect((await app.request('/metrics', { method: 'POST' })).status).toBe(404);
  });
});
