// Chunks: hexadecimal digits, a line end of two bytes, exactly so many bytes. Extensions are let pass by the grammar and
// end here; everything else that some reader forgives is refused.
import { HIDDEN, posts, type Verdict, type WireCase } from './case.ts';

const CODING = 'Transfer-Encoding: chunked';
const END = '0\r\n\r\n';

/** [name, body, verdict, body as it must arrive] */
type ChunkRow = readonly [string, string, Verdict | readonly Verdict[], string?];

export function chunkCases(): WireCase[] {
  const rows = (group: string, table: readonly ChunkRow[]): WireCase[] =>
    posts(
      group,
      table.map(([name, body, verdict, sent]) => [name, CODING, verdict, body, sent ?? ''] as const),
    );
  return [
    ...rows('chunk', [
      ['one', `5\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['none', END, 'ok', ''],
      ['two', `2\r\nhe\r\n3\r\nllo\r\n${END}`, 'ok', 'hello'],
      ['five', `1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n${END}`, 'ok', 'hello'],
      ['capital digits', `A\r\n0123456789\r\n${END}`, 'ok', '0123456789'],
      ['small digits', `a\r\n0123456789\r\n${END}`, 'ok', '0123456789'],
      ['a leading zero', `05\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['seven leading zeros', `00000005\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['an end of three zeros', '5\r\nhello\r\n000\r\n\r\n', 'ok', 'hello'],
      ['line ends inside', `4\r\n\r\n\r\n\r\n${END}`, 'ok', '\r\n\r\n'],
      ['what looks like an end inside', `5\r\n0\r\n\r\n\r\n${END}`, 'ok', '0\r\n\r\n'],
      ['a hidden request inside', `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n${END}`, 'ok', HIDDEN],
    ]),
    ...rows('chunk size', [
      ['0x', `0x5\r\nhello\r\n${END}`, 400],
      ['0X', `0X5\r\nhello\r\n${END}`, 400],
      ['0x0 as the end', '5\r\nhello\r\n0x0\r\n\r\n', 400],
      ['plus', `+5\r\nhello\r\n${END}`, 400],
      ['minus', `-5\r\nhello\r\n${END}`, 400],
      ['minus zero', '-0\r\n\r\n', 400],
      ['an underscore', `0_5\r\nhello\r\n${END}`, 400],
      ['empty', `\r\nhello\r\n${END}`, 400],
      ['a space only', ` \r\nhello\r\n${END}`, 400],
      ['a space before', ` 5\r\nhello\r\n${END}`, 400],
      ['a tab before', `\t5\r\nhello\r\n${END}`, 400],
      ['a space behind', `5 \r\nhello\r\n${END}`, 400],
      ['a tab behind', `5\t\r\nhello\r\n${END}`, 400],
      ['a letter', `g\r\nhello\r\n${END}`, 400],
      ['a letter behind', `5h\r\nhello\r\n${END}`, 400],
      ['a point', `5.0\r\nhello\r\n${END}`, 400],
      ['a comma', `5,5\r\nhello\r\n${END}`, 400],
      ['quotes', `"5"\r\nhello\r\n${END}`, 400],
      ['a null', `5\0\r\nhello\r\n${END}`, 400],
      ['a no-break space', `\xa05\r\nhello\r\n${END}`, 400],
      ['a wide digit', `\xef\xbc\x95\r\nhello\r\n${END}`, 400],
      ['2^64 + 5', `10000000000000005\r\nhello\r\n${END}`, 400],
      ['2^64', `10000000000000000\r\n${HIDDEN}`, 400],
      ['all ones', `ffffffffffffffff\r\nhello\r\n${END}`, [400, 'wait', 413]],
      ['2^63', `8000000000000000\r\nhello\r\n${END}`, [400, 'wait', 413]],
      ['2^32 + 5', `100000005\r\nhello\r\n${END}`, 'wait'],
      ['twenty digits', `fffffffffffffffffffff\r\nhello\r\n${END}`, 400],
    ]),
    ...rows('chunk line', [
      ['a bare line feed behind the size', `5\nhello\r\n${END}`, 400],
      ['a bare carriage return behind the size', `5\rhello\r\n${END}`, 400],
      ['two carriage returns', `5\r\r\nhello\r\n${END}`, 400],
      ['a bare line feed behind the data', `5\r\nhello\n${END}`, 400],
      ['a bare carriage return behind the data', `5\r\nhello\r${END}`, 400],
      ['no line end behind the data', `5\r\nhello${END}`, 400],
      ['two letters instead of it', `5\r\nhelloXX${END}`, 400],
      ['data longer than the size', `3\r\nhello\r\n${END}`, 400],
      ['data shorter than the size', `9\r\nhello\r\n${END}`, 400],
      ['an end with bare line feeds', '5\r\nhello\r\n0\n\n', 400],
      ['an end with one bare line feed', '5\r\nhello\r\n0\r\n\n', 400],
      ['an end with bare carriage returns', '5\r\nhello\r\n0\r\r', 400],
      ['no end', '5\r\nhello\r\n', 'wait'],
      ['half an end', '5\r\nhello\r\n0\r\n', 'wait'],
      ['a size and nothing', '5\r\n', 'wait'],
      ['nothing at all', '', 'wait'],
      ['a hidden request instead of chunks', HIDDEN, 400],
    ]),
    // An extension is anything between the size and the line end; how its end is found is what differs.
    ...rows('chunk extension', [
      ['a name', `5;a\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['a name and a value', `5;a=b\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['two', `5;a=b;c=d\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['a quoted value', `5;a="b c"\r\nhello\r\n${END}`, 'ok', 'hello'],
      ['on the last chunk', '5\r\nhello\r\n0;a=b\r\n\r\n', 'ok', 'hello'],
      ['a bare carriage return in it', `5;a\rb\r\nhello\r\n${END}`, 400],
      ['a bare line feed in it', `5;a\nb\r\nhello\r\n${END}`, 400],
      ['a bare line feed ends it', `5;a\nhello\r\n${END}`, 400],
      ['a carriage return ends it', `5;a\rhello\r\n${END}`, 400],
      ['a line end in quotes', `5;a="\r\nhello\r\n${END}`, 400],
      ['a null in it', `5;a\0b\r\nhello\r\n${END}`, 400],
      ['a bare line feed hides a request', `2;a\nxx\r\n${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n${END}`, 400],
      ['40 KiB of it', `5;${'a'.repeat(40 << 10)}\r\nhello\r\n${END}`, [413, 400]],
    ]),
    ...rows('trailer', [
      ['a field', '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n', 'ok', 'hello'],
      ['a length', '5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n', ['ok', 400], 'hello'],
      ['a coding', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n', ['ok', 400], 'hello'],
      ['a host', '5\r\nhello\r\n0\r\nHost: evil\r\n\r\n', 'ok', 'hello'],
      ['an authorization', '5\r\nhello\r\n0\r\nAuthorization: evil\r\n\r\n', 'ok', 'hello'],
      ['without a colon', '5\r\nhello\r\n0\r\nnonsense\r\n\r\n', 400],
      ['a space before the colon', '5\r\nhello\r\n0\r\nX-T : 1\r\n\r\n', 400],
      ['a bare line feed', '5\r\nhello\r\n0\r\nX-T: 1\n\r\n', 400],
      ['a hidden request line', `5\r\nhello\r\n0\r\n${HIDDEN}`, 400],
      ['20 KiB of them', `5\r\nhello\r\n0\r\nX-T: ${'a'.repeat(20 << 10)}\r\n\r\n`, [431, 400]],
    ]),
  ];
}
