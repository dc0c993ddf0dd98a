// The first layer: what is refused before anything is understood. Never lenient: a doubt about where a request ends
// is how one caller's bytes become another's request.
import type { IncomingMessage } from 'node:http';

/** Why a request is refused unread, with the status it gets; the connection is closed after it. */
export interface FramingFault {
  readonly status: 400 | 413 | 431 | 501;
  readonly reason: string;
}

/** A canonical length: digits, no sign, no leading zero (Node reads `010` as 10, others as 8). */
const CONTENT_LENGTH = /^(?:0|[1-9][0-9]{0,14})$/;

export const HEADERS_MAX = 100;

/** Null when the request may go on. `bodyBytesMax` refuses a declared length without reading it. */
export function checkFraming(request: IncomingMessage, bodyBytesMax: number): FramingFault | null {
  const { headers, rawHeaders } = request;
  // Past its own count Node drops headers silently, and a dropped Authorization is another request.
  if (rawHeaders.length > 2 * HEADERS_MAX) return { status: 431, reason: `more than ${HEADERS_MAX} headers` };
  // Node takes a line without a version for HTTP/0.9.
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0')
    return bad('a version other than HTTP/1.1 or 1.0');
  const hosts = countHosts(rawHeaders);
  // Two hosts are two readings of who is asked; Node keeps the first and says nothing.
  if (hosts > 1 || (hosts === 0 && request.httpVersion === '1.1')) return bad(`${hosts} hosts`);
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    if (length !== undefined) return bad('transfer-encoding beside content-length');
    if (coding !== 'chunked') return bad('a transfer-encoding other than exactly "chunked"');
    if (request.httpVersion === '1.0') return bad('transfer-encoding in HTTP/1.0');
  }
  if (length !== undefined) {
    if (!CONTENT_LENGTH.test(length)) return bad('a content-length that is not a plain number');
    if (Number(length) > bodyBytesMax) {
      return { status: 413, reason: `a body of ${length} bytes is over the limit of ${bodyBytesMax}` };
    }
  }
  const target = request.url ?? '';
  if (target.charCodeAt(0) !== 0x2f) return bad('a request target that does not start with "/"');
  if (target.includes('#')) return bad('a fragment in the request target');
  if (request.method === 'TRACE' || request.method === 'CONNECT') {
    return { status: 501, reason: `method ${request.method} is not passed on` };
  }
  // A cleartext HTTP/2 offer may be ignored (RFC 9110 7.8), and Java's client makes one on every first request.
  if (headers.upgrade !== undefined && headers.upgrade.toLowerCase() !== 'h2c') {
    return { status: 501, reason: 'protocol upgrades are not passed on' };
  }
  return null;
}

function countHosts(raw: readonly string[]): number {
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts;
}

function bad(reason: string): FramingFault {
  return { status: 400, reason };
}
