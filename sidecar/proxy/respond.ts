// The only place that turns a fault into a status and a body, in the caller's own protocol.
import type { Ending, Outcome } from '../../src/core/completion.ts';
import { toErrorBody } from '../../src/wire/error-body.ts';
import type { Exchange } from './exchange.ts';
import type { CallFault } from './forward.ts';

/** Everything the agent itself may answer. The `x-morphling-error` header carries `header`. */
export type Fault =
  | { readonly kind: 'bad-request'; readonly reason: string; readonly status?: 400 | 413 | 431 | 501 }
  | { readonly kind: 'shed'; readonly reason: string; readonly retryAfterMs: number }
  | { readonly kind: 'draining' }
  | { readonly kind: 'deadline' }
  | { readonly kind: 'upstream'; readonly fault: CallFault | 'too-large' };

interface Reply {
  readonly status: number;
  readonly header: 'shed' | 'timeout' | 'upstream' | 'draining' | 'bad_request';
  readonly message: string;
  readonly retryAfterS: number | null;
  readonly outcome: Outcome;
  readonly ending: Ending;
}

/** Unread bytes that are still taken in after an early answer, so that closing does not reset it away. */
const LINGER_BYTES = 16 << 20;
const LINGER_MS = 1_000;

/** Answers and settles the exchange; nothing happens when it is already settled. */
export function respondFault(exchange: Exchange, fault: Fault): void {
  const reply = toReply(fault);
  if (!exchange.settle(reply.status, reply.outcome, reply.ending)) return;
  const { response, request } = exchange;
  // The answer had begun: a clean cut is all that is left, and the caller's client sees it as one.
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { chunks, headers } = toErrorBody(exchange.route.protocol, reply.message, reply.status);
  const body = Buffer.concat(chunks);
  const isUnread = !request.complete;
  response.statusCode = reply.status;
  for (const name in headers) response.setHeader(name, headers[name] ?? '');
  response.setHeader('content-length', body.length);
  response.setHeader('x-morphling-error', reply.header);
  if (reply.retryAfterS !== null) response.setHeader('retry-after', reply.retryAfterS);
  if (exchange.isLast || reply.header === 'bad_request') response.setHeader('connection', 'close');
  if (isUnread && request.method !== 'HEAD') linger(exchange, body);
  else response.end(body);
}

/** A metrics page in Prometheus' text format. */
export function respondPage(exchange: Exchange, page: Buffer): void {
  if (!exchange.settle(200, 'ok', 'success')) return;
  const { response } = exchange;
  if (exchange.isLast) response.shouldKeepAlive = false;
  exchange.request.resume();
  response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
  response.end(page);
}

/** Sends the whole answer, then takes in what the caller is still writing, and only then closes. */
function linger({ request, response }: Exchange, body: Buffer): void {
  response.write(body);
  let bytes = 0;
  const close = (): void => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(close, LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) close();
  });
  request.on('end', close);
  request.on('close', close);
  request.resume();
}

function toReply(fault: Fault): Reply {
  switch (fault.kind) {
    case 'bad-request':
      return reply(fault.status ?? 400, 'bad_request', fault.reason, 'bad_request', 'ignored');
    case 'shed':
      return {
        ...reply(503, 'shed', `overloaded: ${fault.reason}`, 'shed', 'dropped'),
        retryAfterS: Math.max(1, Math.ceil(fault.retryAfterMs / 1000)),
      };
    case 'draining':
      return { ...reply(503, 'draining', 'the agent is stopping', 'shed', 'dropped'), retryAfterS: 1 };
    case 'deadline':
      return reply(504, 'timeout', 'the deadline of this request has passed', 'timeout', 'dropped');
    case 'upstream':
      return toUpstreamReply(fault.fault);
    default:
      return fault satisfies never;
  }
}

function toUpstreamReply(fault: CallFault | 'too-large'): Reply {
  switch (fault) {
    case 'unreachable':
      // Nothing was sent, so it is safe to come again: 503 says so where 502 would not.
      return {
        ...reply(503, 'upstream', 'the model server does not accept connections', 'upstream_error', 'dropped'),
        retryAfterS: 1,
      };
    case 'timeout':
      return reply(504, 'timeout', 'the model server did not answer in time', 'timeout', 'dropped');
    case 'unsendable':
      return reply(400, 'bad_request', 'the request cannot be passed on as HTTP', 'bad_request', 'ignored');
    case 'too-large':
      return reply(502, 'upstream', 'the answer of the model server is too large', 'upstream_error', 'dropped');
    case 'broken':
    case 'aborted':
      return reply(502, 'upstream', 'the model server broke off its answer', 'upstream_error', 'dropped');
    default:
      return fault satisfies never;
  }
}

function reply(status: number, header: Reply['header'], message: string, outcome: Outcome, ending: Ending): Reply {
  return { status, header, message, retryAfterS: null, outcome, ending };
}

/** The bytes for a connection whose request never became one: no response object exists. */
export function toRawRefusal(status: 400 | 408 | 413 | 431 | 503): string {
  const reason = RAW_REASONS[status];
  const body = JSON.stringify({ error: reason.toLowerCase() });
  return (
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `X-Morphling-Error: ${status === 503 ? 'shed' : 'bad_request'}\r\nConnection: close\r\n\r\n${body}`
  );
}

const RAW_REASONS = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
} as const;
