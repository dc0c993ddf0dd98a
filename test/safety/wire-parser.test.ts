// The yardstick itself: our own reading of HTTP, by which the agent is judged.
import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { parseRequests, WireParser, type WireMessage } from '../support/wire-parser.ts';

function read(
  kind: 'request' | 'answer',
  pieces: readonly Buffer[],
): { messages: WireMessage[]; fault: string | null; isWhole: boolean } {
  const messages: WireMessage[] = [];
  let fault: string | null = null;
  const parser = new WireParser(kind, {
    message: (message) => messages.push(message),
    fault: (reason) => (fault = reason),
  });
  for (const piece of pieces) parser.push(piece);
  const isWhole = parser.end();
  return { messages, fault, isWhole };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const POST = 'POST /a HTTP/1.1\r\nHost: m\r\n';

describe('the parser', () => {
  test.each([
    ['a length', `${POST}Content-Length: 5\r\n\r\nhello`, 'hello'],
    ['chunks', `${POST}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`, 'hello'],
    ['a trailer', `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n`, ''],
    ['no body', `${POST}\r\n`, ''],
  ])('reads a request with %s', (_what, text, body) => {
    const { messages, fault, isWhole } = read('request', [bytes(text)]);
    expect([messages.map((one) => one.body.toString()), fault, isWhole]).toEqual([[body], null, true]);
  });

  test.each([
    ['a bare line feed', `${POST.replace('\r\nHost', '\nHost')}\r\n`],
    ['two lengths', `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
    ['a coding and a length', `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello`],
    ['a coding other than chunked', `${POST}Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n`],
    ['a signed size', `${POST}Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n`],
    ['a chunk too long', `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
    ['a folded line', `${POST}X: y\r\n z\r\n\r\n`],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['an absent version', 'GET /\r\nHost: m\r\n\r\n'],
  ])('finds fault with %s', (_what, text) => {
    expect(read('request', [bytes(text)]).fault).not.toBeNull();
  });

  test('tells a cut message from a whole one', () => {
    expect(read('request', [bytes(`${POST}Content-Length: 5\r\n\r\nhell`)]).isWhole).toBe(false);
    expect(read('answer', [bytes('HTTP/1.1 200 OK\r\n\r\nall of it')])).toMatchObject({ isWhole: true, fault: null });
  });

  test('reads the same however the bytes are cut', () => {
    const text = bytes(
      `${POST}Content-Length: 5\r\n\r\nhello${POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n`,
    );
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 12 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), text.length];
        const pieces = at.slice(1).map((end, i) => text.subarray(at[i], end));
        const { messages, fault } = read('request', pieces);
        expect([fault, messages.map((one) => one.body.toString())]).toEqual([null, ['hello', 'abc']]);
      }),
    );
  });

  test('gives back any body it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
        const whole = Buffer.concat([bytes(`${POST}Content-Length: ${body.length}\r\n\r\n`), body]);
        expect(parseRequests(whole).requests.map((one) => one.body)).toEqual([Buffer.from(body)]);
      }),
    );
  });
});
