// What a call says on top of its caller's headers: an id to find it by, and how long it may still take.
import { randomUUID } from 'node:crypto';
import type { Exchange } from './exchange.ts';

/**
 * The headers of one request's own call. `x-request-id` is passed on or made; `x-request-timeout-ms` becomes what is
 * left of it, since the model server starts counting only now. `traceparent` passes as it is.
 */
export function toCallHeaders(exchange: Exchange, nowMs: number): readonly string[] {
  const { headers } = exchange.request;
  const { forward } = exchange.headers;
  const hasId = headers['x-request-id'] !== undefined;
  const hasTimeout = headers['x-request-timeout-ms'] !== undefined && exchange.deadlineMs !== Infinity;
  if (hasId && !hasTimeout) return forward;
  const own = forward.slice();
  if (!hasId) own.push('x-request-id', randomUUID());
  if (hasTimeout) {
    const leftMs = Math.max(1, Math.floor(exchange.deadlineMs - nowMs));
    for (let i = 0; i + 1 < own.length; i += 2) {
      if (own[i]?.toLowerCase() === 'x-request-timeout-ms') own[i + 1] = String(leftMs);
    }
  }
  return own;
}
