// Content-Length: one canonical number or nothing. Whatever two readers could take for two numbers is refused.
import { HIDDEN, posts, raws, type WireCase } from './case.ts';

export function lengthCases(): WireCase[] {
  return [
    // Plain lengths, and what only looks odd: names have no case, space around a value is not part of it.
    ...posts('length', [
      ['plain', 'Content-Length: 5', 'ok'],
      ['without a space', 'Content-Length:5', 'ok'],
      ['lower case', 'content-length: 5', 'ok'],
      ['upper case', 'CONTENT-LENGTH: 5', 'ok'],
      ['a tab before', 'Content-Length:\t5', 'ok'],
      ['many spaces before', 'Content-Length:      5', 'ok'],
      ['a space behind', 'Content-Length: 5 ', 'ok'],
      ['zero', 'Content-Length: 0', 'ok', ''],
      ['the one byte', 'Content-Length: 1', 'ok', 'h'],
      ['no length at all', 'X-A: b', 'ok', ''],
    ]),
    // Signs, bases, points, lists: forms that some number parser accepts.
    ...posts('length form', [
      ['empty', 'Content-Length:', 400],
      ['a space only', 'Content-Length: ', 400],
      ['a tab only', 'Content-Length:\t', 400],
      ['plus', 'Content-Length: +5', 400],
      ['minus', 'Content-Length: -5', 400],
      ['minus zero', 'Content-Length: -0', 400],
      ['plus zero', 'Content-Length: +0', 400],
      ['a leading zero', 'Content-Length: 05', 400],
      ['two leading zeros', 'Content-Length: 005', 400],
      // Read as 0, so that what follows is no request: the refusal may not get out any more.
      ['double zero', 'Content-Length: 00', [400, 'closed']],
      ['octal', 'Content-Length: 0o5', 400],
      ['hexadecimal', 'Content-Length: 0x5', 400],
      ['hexadecimal digit', 'Content-Length: a', 400],
      ['binary', 'Content-Length: 0b101', 400],
      ['an underscore', 'Content-Length: 0_5', 400],
      ['a trailing underscore', 'Content-Length: 5_', 400],
      ['a point', 'Content-Length: 5.0', 400],
      ['an exponent', 'Content-Length: 5e0', 400],
      ['a semicolon', 'Content-Length: 5;', 400],
      ['a semicolon and more', 'Content-Length: 5;q=1', 400],
      ['quotes', 'Content-Length: "5"', 400],
      ['two numbers', 'Content-Length: 5 5', 400],
      ['a list of equals', 'Content-Length: 5, 5', 400],
      ['a list without space', 'Content-Length: 5,5', 400],
      ['a list of two', 'Content-Length: 5, 6', 400],
      ['a trailing comma', 'Content-Length: 5,', 400],
      ['a leading comma', 'Content-Length: ,5', 400],
      ['a word', 'Content-Length: five', 400],
      ['NaN', 'Content-Length: NaN', 400],
      ['Infinity', 'Content-Length: Infinity', 400],
      ['a vertical tab before', 'Content-Length:\x0b5', 400],
      ['a form feed behind', 'Content-Length: 5\x0c', 400],
      ['a no-break space before', 'Content-Length: \xa05', 400],
      ['a no-break space behind', 'Content-Length: 5\xa0', 400],
      ['a null behind', 'Content-Length: 5\0', 400],
      ['a null before', 'Content-Length: \x005', 400],
      ['a delete behind', 'Content-Length: 5\x7f', 400],
      ['an Arabic digit', 'Content-Length: \xd9\xa5', 400],
      ['a superscript digit', 'Content-Length: \xb5', 400],
    ]),
    // Overflow: each is a small number in some width.
    ...posts('length overflow', [
      ['2^64 + 5', 'Content-Length: 18446744073709551621', 400],
      ['2^63', 'Content-Length: 9223372036854775808', 400],
      ['2^53 + 1', 'Content-Length: 9007199254740993', [400, 413]],
      ['2^32 + 5', 'Content-Length: 4294967301', 413],
      ['2^31', 'Content-Length: 2147483648', 413],
      ['twenty nines', 'Content-Length: 99999999999999999999', 400],
      ['a hundred digits', `Content-Length: ${'1'.repeat(100)}`, 400],
      ['one over the limit', 'Content-Length: 1048577', 413],
      ['a hundred leading zeros', `Content-Length: ${'0'.repeat(100)}5`, 400],
    ]),
    // Two lengths are no length, equal or not.
    ...posts('length twice', [
      ['equal', 'Content-Length: 5\r\nContent-Length: 5', 400],
      ['unequal', 'Content-Length: 5\r\nContent-Length: 6', 400],
      ['unequal, swapped', 'Content-Length: 6\r\nContent-Length: 5', 400],
      ['in two cases', 'Content-Length: 5\r\ncontent-length: 5', 400],
      ['zero and five', 'Content-Length: 0\r\nContent-Length: 5', 400],
      ['three', 'Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5', 400],
      ['apart', 'Content-Length: 5\r\nX-A: b\r\nContent-Length: 5', 400],
      ['one empty', 'Content-Length: 5\r\nContent-Length:', 400],
    ]),
    // Names that are not the name: a reader that forgives them sees another length.
    ...posts(
      'length name',
      [
        ['a space before the colon', 'Content-Length : 5', 400],
        ['a tab before the colon', 'Content-Length\t: 5', 400],
        ['a space before the name', ' Content-Length: 5', 400],
        ['a null in the name', 'Content\0-Length: 5', 400],
        ['a no-break space in the name', 'Content-Length\xa0: 5', 400],
        ['an en dash', 'Content\x96Length: 5', 400],
        ['a colon more', 'Content-Length:: 5', 400],
        ['folded', 'Content-Length:\r\n 5', 400],
        ['folded by a tab', 'Content-Length: 5\r\n\t', 400],
        // A name like any other to us; servers that turn `_` into `-` would read a second length.
        ['an underscore beside none', 'Content_Length: 5', [400, 'ok'], ''],
        ['an underscore beside the name', 'Content-Length: 5\r\nContent_Length: 0', [400, 'ok']],
      ],
      {},
    ),
    // A body that is not all of what was announced, or more than that.
    ...raws('length and body', [
      ['short body', post('Content-Length: 50', 'hello'), 'wait'],
      ['no body yet', post('Content-Length: 5', ''), 'wait'],
      [
        'a hidden request behind a short length',
        post(`Content-Length: 5`, 'helloGET {path}?2 HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n\r\n'),
        'ok',
        [passed('POST', '{path}', 'hello'), passed('GET', '{path}?2', '')],
      ],
      [
        'a hidden request inside the length',
        post(`Content-Length: ${HIDDEN.length}`, HIDDEN),
        'ok',
        [passed('POST', '{path}', HIDDEN)],
      ],
      [
        'a hidden request behind length 0 in GET',
        `GET {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\nContent-Length: 0\r\n\r\n`,
        'ok',
        [passed('GET', '{path}', '')],
      ],
      [
        'GET with a body',
        `GET {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
        'ok',
        [passed('GET', '{path}', HIDDEN)],
      ],
      [
        'HEAD with a body',
        `HEAD {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
        'ok',
        [passed('HEAD', '{path}', HIDDEN)],
      ],
      [
        'DELETE with a body',
        `DELETE {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
        'ok',
        [passed('DELETE', '{path}', HIDDEN)],
      ],
      [
        'OPTIONS with a body',
        `OPTIONS {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
        'ok',
        [passed('OPTIONS', '{path}', HIDDEN)],
      ],
    ]),
  ];
}

function post(lines: string, body: string): string {
  return `POST {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n${lines}\r\n\r\n${body}`;
}

function passed(method: string, target: string, body: string): { method: string; target: string; body: string } {
  return { method, target, body };
}
