// The second layer: which model a request is for, until when and how urgently it is wanted, and whom it may travel with.
import type { IncomingMessage } from 'node:http';
import { isRefusal, type HeaderView } from '../../src/wire/codec.ts';
import { findCodec } from '../../src/wire/codecs.ts';
import type { Exchange } from './exchange.ts';

/** Headers whose values must be equal in one call, whatever the configuration adds. */
const KEY_HEADERS = ['authorization', 'cookie', 'accept', 'content-encoding', 'content-type'];

/** Lower-cased names of every header that is part of a batch key. */
export function toKeyNames(configured: readonly string[]): ReadonlySet<string> {
  return new Set([...KEY_HEADERS, ...configured.map((name) => name.toLowerCase())]);
}

/** Reads priority and deadline off the headers; a value that makes no sense is as good as none. */
export function readUrgency(exchange: Exchange): void {
  const { headers } = exchange.request;
  const priority = headers['x-morphling-priority'];
  if (priority === '0' || priority === '2' || priority === '3') exchange.priority = Number(priority);
  const timeout = headers['x-request-timeout-ms'];
  const grpcTimeout = headers['grpc-timeout'];
  if (timeout !== undefined) limitTo(exchange, toMs(timeout));
  if (grpcTimeout !== undefined) limitTo(exchange, toGrpcMs(String(grpcTimeout)));
}

/**
 * Reads the body of an inference request and says whether it may be joined with others.
 * A body that no codec understands is not refused here: it goes alone, and the model server says itself what is wrong.
 */
export function readInference(exchange: Exchange, mayBatch: boolean): void {
  const view = toHeaderView(exchange.request);
  exchange.isBatchable = false;
  exchange.key = '';
  // Null also for a compressed body: it cannot be spliced, and unpacking it would spend memory that a caller chooses.
  const codec = findCodec(exchange.route, view);
  if (codec === null) return;
  const parsed = codec.parse(exchange.body, view);
  if (isRefusal(parsed)) return;
  exchange.items = parsed.items;
  if (parsed.timeoutMs !== null) limitTo(exchange, parsed.timeoutMs);
  exchange.codec = codec;
  exchange.parsed = parsed;
  if (!mayBatch || parsed.unbatchable !== null) return;
  exchange.isBatchable = true;
  const { route, request, headers, priority } = exchange;
  exchange.key = `${route.protocol}\n${route.model}\n${route.version}\n${request.url}\n${codec.name}\n${priority}\n${headers.key}\n${parsed.key}`;
}

/** First values by lower-cased name. */
function toHeaderView(request: IncomingMessage): HeaderView {
  // Only `set-cookie` is ever a list in Node's table, and no request carries it.
  return request.headers as HeaderView;
}

function limitTo(exchange: Exchange, timeoutMs: number | null): void {
  if (timeoutMs !== null) exchange.deadlineMs = Math.min(exchange.deadlineMs, exchange.arrivedMs + timeoutMs);
}

function toMs(value: string | string[]): number | null {
  const ms = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : null;
  return ms === null || ms === 0 ? null : ms;
}

const GRPC_UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** `100m` is 100 ms: at most 8 digits and a unit, as gRPC over HTTP/2 writes it. */
function toGrpcMs(value: string): number | null {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  const unitMs = GRPC_UNITS_MS[match?.[2] ?? ''];
  return match === null || unitMs === undefined ? null : Number(match[1]) * unitMs;
}
