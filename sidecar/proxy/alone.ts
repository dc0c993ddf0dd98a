// One request as its own call, answered as the answer comes.
import type { Ending } from '../../src/core/completion.ts';
import { StreamedAnswer, type CallEnd } from './answer.ts';
import { toVerdict, type Exchange } from './exchange.ts';
import type { Call, Upstream } from './forward.ts';
import { respondFault } from './respond.ts';
import { toCallHeaders } from './trace.ts';

/** `done` is called once, after the exchange is settled. */
export function callAlone(
  upstream: Upstream,
  exchange: Exchange,
  nowMs: number,
  done: (ending: Ending) => void,
  body: Parameters<Upstream['call']>[0]['body'] = exchange.body,
): Call {
  const receiver = new StreamedAnswer(exchange, (end) => done(endAlone(exchange, end)));
  const { request } = exchange;
  const own = toCallHeaders(exchange, nowMs);
  // A streamed body keeps the length its caller declared (checked by framing, held to by the client): chunked is
  // more than some small servers understand.
  const length = request.headers['content-length'];
  const isDeclared = body !== null && !Buffer.isBuffer(body) && length !== undefined;
  const headers = isDeclared ? [...own, 'content-length', length] : own;
  const call = upstream.call({ method: request.method ?? 'GET', path: request.url ?? '/', headers, body }, receiver);
  receiver.attach(call);
  return call;
}

function endAlone(exchange: Exchange, end: CallEnd): Ending {
  if (end.kind === 'answered') {
    const { outcome, ending } = toVerdict(end.status);
    exchange.settle(end.status, outcome, ending);
    return ending;
  }
  respondFault(exchange, { kind: 'upstream', fault: end.fault });
  return end.fault === 'aborted' || end.fault === 'unsendable' ? 'ignored' : 'dropped';
}
