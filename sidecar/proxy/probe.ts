// Small questions of our own to the model server, on the same pool as the traffic.
import { CollectedAnswer } from './answer.ts';
import type { Upstream } from './forward.ts';

const ANSWER_BYTES_MAX = 4 << 20;
/** Metadata of a busy server may be slow; a readiness probe of the kubelet waits a second by default. */
const TIMEOUT_MS = 5_000;

/** A GET; status 0 when there was no answer in time, `json` null when the body is not JSON. */
export function fetchJson(
  upstream: Upstream,
  path: string,
  timeoutMs = TIMEOUT_MS,
): Promise<{ readonly status: number; readonly json: unknown }> {
  return new Promise((resolve) => {
    const receiver = new CollectedAnswer(ANSWER_BYTES_MAX, (end) => {
      clearTimeout(timer);
      if (typeof end === 'string') resolve({ status: 0, json: null });
      else resolve({ status: end.head.status, json: parseJson(end.body) });
    });
    const headers = ['accept', 'application/json', 'user-agent', 'morphling'];
    const call = upstream.call({ method: 'GET', path, headers, body: null }, receiver);
    receiver.attach(call);
    const timer = setTimeout(() => call.abort(), timeoutMs);
  });
}

/**
 * Whether the model server says that it is ready. V2 has a path for it; a server without that path is ready when it
 * answers at all, as with V1, whose `GET /` is its liveness.
 */
export async function isUpstreamReady(upstream: Upstream, timeoutMs: number): Promise<boolean> {
  const { status } = await fetchJson(upstream, '/v2/health/ready', timeoutMs);
  if (status === 404 || status === 405 || status === 501) {
    const health = await fetchJson(upstream, '/health', timeoutMs);
    if (health.status !== 404 && health.status !== 405) return health.status > 0 && health.status < 500;
    const root = await fetchJson(upstream, '/', timeoutMs);
    return root.status > 0 && root.status < 500;
  }
  return status >= 200 && status < 400;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}
