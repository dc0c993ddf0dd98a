// One upstream call for several callers: joined on the way in, taken apart on the way out.
import type { HeaderView, Payload } from '../../src/wire/codec.ts';
import { CollectedAnswer, type WholeAnswer } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { Call, CallFault, CallRequest, Upstream } from './forward.ts';
import { dropHeaders, findHeader, toCommonHeaders } from './headers.ts';

/** How a joined call ended. Members are in the order of the batch, those that left included. */
export type JoinedEnd =
  | { readonly kind: 'split'; readonly answer: WholeAnswer; readonly payloads: readonly Payload[] }
  /** one answer for everyone: an error that says nothing of any single member */
  | { readonly kind: 'shared'; readonly answer: WholeAnswer }
  /** 400 or 422: one member at least is bad, and none was executed */
  | { readonly kind: 'refused' }
  /** no joined call of this model will ever work: each member is to be sent once more, alone */
  | { readonly kind: 'unbatchable'; readonly reason: string }
  | { readonly kind: 'failed'; readonly fault: CallFault | 'too-large' };

/** Whatever the members' headers say, a joined call says this itself or not at all. */
const OWN_ON_JOIN: ReadonlySet<string> = new Set(['accept-encoding', 'x-request-timeout-ms']);

/** Headers of a joined answer that are true of the whole only. */
const WHOLE_ONLY: ReadonlySet<string> = new Set([
  'set-cookie',
  'content-type',
  'content-encoding',
  'inference-header-content-length',
  'etag',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
]);

/** Members have equal keys; there are at least two. Throws what the codec throws while joining; then nothing was sent. */
export function callJoined(
  upstream: Upstream,
  members: readonly Exchange[],
  limitBytes: number,
  onCodecFault: (error: unknown) => void,
  done: (end: JoinedEnd) => void,
): Call {
  const receiver = new CollectedAnswer(limitBytes, (end) => {
    // Only the codec is guarded here: `done` answers, and what it throws is no fault of the model's.
    let joined: JoinedEnd;
    try {
      joined = toJoinedEnd(end, members);
    } catch (error) {
      joined = { kind: 'failed', fault: 'broken' };
      onCodecFault(error);
    }
    done(joined);
  });
  const call = upstream.call(toJoinedRequest(members), receiver);
  receiver.attach(call);
  return call;
}

function toJoinedRequest(members: readonly Exchange[]): CallRequest {
  const first = members[0]!;
  const payload = first.codec!.join(members.map((member) => member.parsed!));
  // What all members say alike is said for all; what only some say is nobody's, and stays behind.
  const common = toCommonHeaders(members.map((member) => member.headers.forward));
  // The content type is the members' own, or none as theirs: it is part of their key, and what a server makes of it
  // alone, be it a refusal, it must make of it here.
  const described = Object.entries(payload.headers).filter(([name]) => name !== 'content-type');
  const headers = dropHeaders(common, new Set([...OWN_ON_JOIN, ...described.map(([name]) => name)]));
  for (const [name, value] of described) headers.push(name, value);
  headers.push('accept-encoding', 'identity');
  // A trace can go on in one place only: the first member's.
  for (const name of ['traceparent', 'tracestate', 'x-request-id']) {
    const value = findHeader(headers, name) === undefined ? findHeader(first.headers.forward, name) : undefined;
    if (value !== undefined) headers.push(name, value);
  }
  const { chunks } = payload;
  const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return { method: 'POST', path: first.request.url ?? '/', headers, body };
}

function toJoinedEnd(end: WholeAnswer | CallFault | 'too-large', members: readonly Exchange[]): JoinedEnd {
  if (typeof end === 'string') return { kind: 'failed', fault: end };
  const { status, forward } = end.head;
  // One bad member spoils the call for all: the only answers after which sending again is no second execution.
  if (status === 400 || status === 422) return { kind: 'refused' };
  if (status > 400) return { kind: 'shared', answer: end };
  // A body that is not the plain answer may hold every member's items: it must not go to any of them whole.
  if (status !== 200) return { kind: 'unbatchable', reason: `answered a joined call with status ${status}` };
  if (findHeader(forward, 'content-encoding') !== undefined) {
    return { kind: 'unbatchable', reason: 'compressed the answer to a joined call' };
  }
  const first = members[0]!;
  const result = first.codec!.split(
    end.body,
    toView(forward),
    members.map((member) => member.parsed!),
  );
  switch (result.kind) {
    case 'split':
      return { kind: 'split', answer: end, payloads: result.payloads };
    case 'count':
      return {
        kind: 'unbatchable',
        reason: `answered ${result.got} items to a joined call of ${result.expected}`,
      };
    case 'malformed':
      return { kind: 'unbatchable', reason: `answer to a joined call: ${result.reason}` };
    default:
      return result satisfies never;
  }
}

/** Writes one member's part of a joined answer. */
export function answerPart(exchange: Exchange, { head }: WholeAnswer, payload: Payload): void {
  const headers = dropHeaders(head.forward, new Set([...WHOLE_ONLY, ...Object.keys(payload.headers)]));
  for (const name in payload.headers) headers.push(name, payload.headers[name] ?? '');
  write(exchange, head.status, head.statusText, headers, payload.chunks);
}

/** Writes an answer that all members share: an error of the model server. */
export function answerShared(exchange: Exchange, { head, body }: WholeAnswer): void {
  const headers = dropHeaders(head.forward, new Set(['set-cookie']));
  write(exchange, head.status, head.statusText, headers, [body]);
}

function write(
  exchange: Exchange,
  status: number,
  statusText: string,
  headers: string[],
  chunks: readonly Buffer[],
): void {
  const { response } = exchange;
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  headers.push('content-length', String(bytes));
  exchange.markFirstByte();
  exchange.responseBytes = bytes;
  if (exchange.isLast) response.shouldKeepAlive = false;
  response.sendDate = false;
  response.writeHead(status, statusText, headers);
  const last = chunks.length - 1;
  for (let i = 0; i < last; i++) response.write(chunks[i]);
  response.end(chunks[last]);
}

function toView(flat: readonly string[]): HeaderView {
  const view: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i + 1 < flat.length; i += 2) view[(flat[i] ?? '').toLowerCase()] ??= flat[i + 1] ?? '';
  return view;
}
