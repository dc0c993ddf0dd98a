// Well-formed requests whose meaning is the trap: who is asked, what belongs to the hop, what is expected, what follows.
import { gets, HIDDEN, posts, raws, toCase, type Passed, type WireCase } from './case.ts';

const GET = (target = '{path}'): Passed => ({ method: 'GET', target, body: '' });
const POST = (body: string, target = '{path}'): Passed => ({ method: 'POST', target, body });
const get = (lines = '', target = '{path}'): string =>
  `GET ${target} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n${lines}\r\n`;
const post = (body: string, target = '{path}', lines = ''): string =>
  `POST ${target} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`;

export function meaningCases(): WireCase[] {
  return [
    // Host: one, always. Two hosts are two readings of who is asked.
    ...raws('host', [
      ['none', 'GET {path} HTTP/1.1\r\nX-Case: {tag}\r\n\r\n', 400],
      ['empty', 'GET {path} HTTP/1.1\r\nHost:\r\nX-Case: {tag}\r\n\r\n', ['ok', 400], [GET()]],
      ['with a port', 'GET {path} HTTP/1.1\r\nHost: m:80\r\nX-Case: {tag}\r\n\r\n', 'ok', [GET()]],
      ['an IPv6 address', 'GET {path} HTTP/1.1\r\nHost: [::1]:80\r\nX-Case: {tag}\r\n\r\n', 'ok', [GET()]],
      ['capitals', 'GET {path} HTTP/1.1\r\nHOST: M.EXAMPLE\r\nX-Case: {tag}\r\n\r\n', 'ok', [GET()]],
      ['last', 'GET {path} HTTP/1.1\r\nX-Case: {tag}\r\nHost: m\r\n\r\n', 'ok', [GET()]],
      ['twice, equal', 'GET {path} HTTP/1.1\r\nHost: m\r\nHost: m\r\nX-Case: {tag}\r\n\r\n', 400],
      ['twice, unequal', 'GET {path} HTTP/1.1\r\nHost: m\r\nHost: evil\r\nX-Case: {tag}\r\n\r\n', 400],
      ['twice, in two cases', 'GET {path} HTTP/1.1\r\nHost: m\r\nhost: evil\r\nX-Case: {tag}\r\n\r\n', 400],
      ['one of two empty', 'GET {path} HTTP/1.1\r\nHost:\r\nHost: evil\r\nX-Case: {tag}\r\n\r\n', 400],
      ['a space before the colon', 'GET {path} HTTP/1.1\r\nHost : m\r\nX-Case: {tag}\r\n\r\n', 400],
      ['folded', 'GET {path} HTTP/1.1\r\nHost:\r\n m\r\nX-Case: {tag}\r\n\r\n', 400],
      ['a null', 'GET {path} HTTP/1.1\r\nHost: m\0evil\r\nX-Case: {tag}\r\n\r\n', 400],
      ['only the forwarded one', 'GET {path} HTTP/1.1\r\nX-Forwarded-Host: m\r\nX-Case: {tag}\r\n\r\n', 400],
    ]),
    // Expect: 100-continue is ours to say; anything else is not understood.
    ...posts('expect', [
      ['100-continue with its body', 'Expect: 100-continue\r\nContent-Length: 5', 'ok'],
      ['capitals', 'Expect: 100-Continue\r\nContent-Length: 5', 'ok'],
      ['chunked', 'Expect: 100-continue\r\nTransfer-Encoding: chunked', 'ok', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
      ['without a body', 'Expect: 100-continue\r\nContent-Length: 0', 'ok', ''],
      ['no framing', 'Expect: 100-continue', 'ok', ''],
      ['another one', 'Expect: 200-ok\r\nContent-Length: 5', 417],
      ['y', 'Expect: y\r\nContent-Length: 5', 417],
      ['a list', 'Expect: 100-continue, x\r\nContent-Length: 5', ['ok', 417]],
      ['empty', 'Expect:\r\nContent-Length: 5', ['ok', 417]],
      ['twice', 'Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5', ['ok', 417]],
      ['with a length over the limit', 'Expect: 100-continue\r\nContent-Length: 1048577', 413],
      ['with a coding and a length', 'Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked', 400],
      ['and a hidden request in the body', `Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}`, 'ok', HIDDEN],
    ]),
    ...gets('expect of GET', [
      ['100-continue', 'Expect: 100-continue', 'ok'],
      ['100-continue and a length 0', 'Expect: 100-continue\r\nContent-Length: 0', 'ok'],
    ]),
    // Upgrade: an offer of h2c may be ignored, a switch of protocol is never made.
    ...gets('upgrade', [
      ['websocket', 'Connection: Upgrade\r\nUpgrade: websocket', 501],
      [
        'websocket in full',
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        501,
      ],
      ['websocket not named by Connection', 'Upgrade: websocket', 501],
      ['h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA', 'ok'],
      ['h2c, capitals', 'Connection: upgrade\r\nUpgrade: H2C', 'ok'],
      ['h2c not named by Connection', 'Upgrade: h2c', 'ok'],
      ['h2c and websocket', 'Connection: Upgrade\r\nUpgrade: h2c, websocket', 501],
      ['TLS/1.0', 'Connection: Upgrade\r\nUpgrade: TLS/1.0', 501],
      ['empty', 'Connection: Upgrade\r\nUpgrade:', ['ok', 501]],
      ['twice', 'Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket', 501],
    ]),
    ...raws('upgrade and body', [
      ['h2c with a body', post('hello', '{path}', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'), 'ok', [POST('hello')]],
      ['websocket with a hidden request', `${get('Connection: Upgrade\r\nUpgrade: websocket\r\n')}${HIDDEN}`, 501],
      [
        'h2c with what follows',
        `${get('Connection: Upgrade\r\nUpgrade: h2c\r\n')}${get('', '{path}?2')}`,
        ['cut', 'ok'],
        [GET(), GET('{path}?2')],
      ],
      ['CONNECT with a hidden request', `CONNECT m:80 HTTP/1.1\r\nHost: m\r\n\r\n${HIDDEN}`, 400],
    ]),
    // Connection: what it names stays on its hop, whatever it is.
    ...gets('connection', [
      ['close', 'Connection: close', 'ok'],
      ['keep-alive', 'Connection: keep-alive', 'ok'],
      ['both', 'Connection: close, keep-alive', 'ok'],
      ['a name', 'Connection: X-Secret\r\nX-Secret: s', 'ok'],
      ['several names', 'Connection: keep-alive, X-Secret , X-Other\r\nX-Secret: s\r\nX-Other: o', 'ok'],
      ['two lines', 'Connection: X-Secret\r\nConnection: X-Other\r\nX-Secret: s\r\nX-Other: o', 'ok'],
      ['the length', 'Connection: Content-Length\r\nContent-Length: 0', 'ok'],
      ['the host', 'Connection: Host', ['ok', 400]],
      ['authorization', 'Connection: Authorization\r\nAuthorization: x', 'ok'],
      ['commas only', 'Connection: ,,,', 'ok'],
      ['empty', 'Connection:', 'ok'],
      ['a thousand names', `Connection: ${'x,'.repeat(1000)}x`, 'ok'],
      ['the old names', 'Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5', 'ok'],
      ['credentials of the proxy', 'Proxy-Authorization: Basic x', 'ok'],
      ['TE', 'Connection: TE\r\nTE: trailers', 'ok'],
    ]),
    ...posts('connection and framing', [
      [
        'names the coding',
        'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked',
        'ok',
        '5\r\nhello\r\n0\r\n\r\n',
        'hello',
      ],
      ['names the length', 'Connection: Content-Length\r\nContent-Length: 5', 'ok'],
      ['names the type', 'Connection: Content-Type\r\nContent-Type: text/plain\r\nContent-Length: 5', 'ok'],
    ]),
    // What other gateways read a method, a path or a host from; to us it is a header like any other.
    ...gets('other names', [
      ['X-HTTP-Method-Override', 'X-HTTP-Method-Override: DELETE', 'ok'],
      ['X-Original-URL', 'X-Original-URL: /smuggled', 'ok'],
      ['X-Rewrite-URL', 'X-Rewrite-URL: /smuggled', 'ok'],
      ['X-Forwarded-For', 'X-Forwarded-For: 127.0.0.1', 'ok'],
      ['Forwarded', 'Forwarded: for=127.0.0.1;host=evil', 'ok'],
      ['Range', 'Range: bytes=0-', 'ok'],
      ['Max-Forwards', 'Max-Forwards: 0', 'ok'],
      ['a traceparent', 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'ok'],
      ['a broken traceparent', 'traceparent: \xff', 'ok'],
      ['a deadline of nonsense', 'x-request-timeout-ms: -1', 'ok'],
      ['a deadline of hex', 'x-request-timeout-ms: 0x10', 'ok'],
      ['a deadline of a year', 'x-request-timeout-ms: 999999999', 'ok'],
      ['a priority of nonsense', 'x-morphling-priority: __proto__', 'ok'],
      ['our own error header', 'x-morphling-error: shed', 'ok'],
      ['a cookie', 'Cookie: a=b; c=d', 'ok'],
      ['two cookies', 'Cookie: a=b\r\nCookie: c=d', 'ok'],
    ]),
    // Pipelining: the answers come in order, each whole; a bad one ends it.
    ...raws('pipelined', [
      ['two GETs', get() + get('', '{path}?2'), 'ok', [GET(), GET('{path}?2')]],
      [
        'three GETs',
        get() + get('', '{path}?2') + get('', '{path}?3'),
        'ok',
        [GET(), GET('{path}?2'), GET('{path}?3')],
      ],
      ['two POSTs', post('hello') + post('world', '{path}?2'), 'ok', [POST('hello'), POST('world', '{path}?2')]],
      [
        'chunked, then a length',
        `POST {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${post('world', '{path}?2')}`,
        'ok',
        [POST('hello'), POST('world', '{path}?2')],
      ],
      [
        'a line end between',
        `${post('hello')}\r\n${post('world', '{path}?2')}`,
        ['ok', 400],
        [POST('hello'), POST('world', '{path}?2')],
      ],
      [
        'ten GETs',
        Array.from({ length: 10 }, (_, i) => get('', `{path}?${i}`)).join(''),
        'ok',
        Array.from({ length: 10 }, (_, i) => GET(`{path}?${i}`)),
      ],
    ]),
    // Nothing follows a request that closed its connection, or one that was refused.
    toCase(
      'pipelined',
      'behind Connection: close',
      ['ok', 'cut'],
      get('Connection: close\r\n') + get('', '/smuggled'),
      [GET()],
      true,
    ),
    toCase(
      'pipelined',
      'behind HTTP/1.0',
      ['ok', 'cut'],
      `GET {path} HTTP/1.0\r\nHost: m\r\nX-Case: {tag}\r\n\r\n${get('', '/smuggled')}`,
      [GET()],
      true,
    ),
    ...raws('refused, then more', [
      ['a bad length', `POST {path} HTTP/1.1\r\nHost: m\r\nContent-Length: +5\r\n\r\nhello${HIDDEN}`, 400],
      [
        'both framings',
        `POST {path} HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
        400,
      ],
      ['an unknown coding', `POST {path} HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: x\r\n\r\n${HIDDEN}`, 400],
      ['absolute form', `GET http://m/ HTTP/1.1\r\nHost: m\r\n\r\n${HIDDEN}`, 400],
      ['TRACE', `TRACE / HTTP/1.1\r\nHost: m\r\n\r\n${HIDDEN}`, 501],
      ['no host', `GET {path} HTTP/1.1\r\n\r\n${HIDDEN}`, 400],
      ['two hosts', `GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${HIDDEN}`, 400],
      ['too many headers', `GET {path} HTTP/1.1\r\nHost: m\r\n${'X-A: b\r\n'.repeat(100)}\r\n${HIDDEN}`, 431],
      [
        'an expectation',
        `POST {path} HTTP/1.1\r\nHost: m\r\nExpect: x\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
        417,
      ],
      ['a body over the limit', `POST {path} HTTP/1.1\r\nHost: m\r\nContent-Length: 1048577\r\n\r\n${HIDDEN}`, 413],
    ]),
  ];
}
