// The metrics port: read-only, reachable from outside the pod, so nothing here takes a body or tells a secret.
import { Hono } from 'hono';
import type { ReadyBody } from '../../src/api/requests.ts';
import type { Metrics } from './metrics.ts';

export interface MetricsAppDeps {
  readonly metrics: Pick<Metrics, 'render'>;
  readonly readiness: () => ReadyBody;
}

/** `/metrics` for Prometheus, `/live` and `/ready` for the kubelet, which cannot reach the control port. */
export function createMetricsApp({ metrics, readiness }: MetricsAppDeps): Hono {
  const app = new Hono();
  app.get('/metrics', async (c) => {
    const { contentType, body } = await metrics.render(c.req.header('accept') ?? null);
    return c.body(body, 200, { 'content-type': contentType });
  });
  app.get('/live', (c) => c.text('ok\n'));
  app.get('/ready', (c) => {
    const { isReady, reason } = readiness();
    return isReady ? c.text('ok\n') : c.text(`${reason}\n`, 503);
  });
  return app;
}
