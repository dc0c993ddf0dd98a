// Transfer-Encoding: exactly `chunked` or a refusal, and never beside a length. The classics: CL.TE, TE.CL, TE.TE.
import { HIDDEN, posts, toCase, type WireCase } from './case.ts';

const CHUNKED = '5\r\nhello\r\n0\r\n\r\n';
/** Read as chunks it ends at once and a second request follows; read by its length it is one body. */
const BOTH = `0\r\n\r\n${HIDDEN}`;

/** Values that some reader takes for chunked and another does not. */
const DOUBTFUL: readonly (readonly [string, string])[] = [
  ['a leading comma', ',chunked'],
  ['a trailing comma', 'chunked,'],
  ['a space and a comma', ' , chunked'],
  ['twice in one', 'chunked,chunked'],
  ['twice with a space', 'chunked, chunked'],
  ['identity', 'identity'],
  ['identity before', 'identity, chunked'],
  ['identity behind', 'chunked, identity'],
  ['gzip before', 'gzip, chunked'],
  ['gzip behind', 'chunked, gzip'],
  ['gzip alone', 'gzip'],
  ['unknown', 'blegh'],
  ['unknown before', 'blegh, chunked'],
  ['unknown behind', 'chunked, blegh'],
  ['a parameter', 'chunked;q=1'],
  ['a space and a parameter', 'chunked ; a=b'],
  ['capital', 'Chunked'],
  ['capitals', 'CHUNKED'],
  ['mixed', 'cHuNkEd'],
  ['quotes', '"chunked"'],
  ['single quotes', "'chunked'"],
  ['a prefix', 'xchunked'],
  ['a suffix', 'chunkedx'],
  ['cut', 'chunke'],
  ['two words', 'chunked chunked'],
  ['a null behind', 'chunked\0'],
  ['a null before', '\0chunked'],
  ['a vertical tab before', '\x0bchunked'],
  ['a form feed behind', 'chunked\x0c'],
  ['a no-break space before', '\xa0chunked'],
  ['a no-break space behind', 'chunked\xa0'],
  ['a byte order mark', '\xef\xbb\xbfchunked'],
  ['a long s', 'chun\xc5\xbfed'],
  ['a Kelvin sign', 'chun\xe2\x84\xaaed'],
  ['a backspace', 'chunkedx\x08'],
  ['empty', ''],
  ['a comma only', ','],
];

/** Lines whose name is not quite the name. */
const NAMES: readonly (readonly [string, string, number])[] = [
  ['a space before the colon', 'Transfer-Encoding : chunked', 400],
  ['a tab before the colon', 'Transfer-Encoding\t: chunked', 400],
  ['a space before the name', ' Transfer-Encoding: chunked', 400],
  ['a null before the colon', 'Transfer-Encoding\0: chunked', 400],
  ['a bare carriage return before the name', 'X-A: b\rTransfer-Encoding: chunked', 400],
  ['a bare line feed before the name', 'X-A: b\nTransfer-Encoding: chunked', 400],
  ['folded', 'Transfer-Encoding:\r\n chunked', 400],
  ['folded by a tab', 'Transfer-Encoding:\r\n\tchunked', 400],
  ['folded behind', 'Transfer-Encoding: chunked\r\n , identity', 400],
  ['no colon', 'Transfer-Encoding chunked', 400],
  ['an equals sign', 'Transfer-Encoding= chunked', 400],
];

export function codingCases(): WireCase[] {
  return [
    // Exactly chunked, whatever the case of the name and the space around the value.
    ...posts('coding', [
      ['plain', 'Transfer-Encoding: chunked', 'ok', CHUNKED, 'hello'],
      ['without a space', 'Transfer-Encoding:chunked', 'ok', CHUNKED, 'hello'],
      ['lower case', 'transfer-encoding: chunked', 'ok', CHUNKED, 'hello'],
      ['upper case', 'TRANSFER-ENCODING: chunked', 'ok', CHUNKED, 'hello'],
      ['a tab before', 'Transfer-Encoding:\tchunked', 'ok', CHUNKED, 'hello'],
      ['a space behind', 'Transfer-Encoding: chunked ', 'ok', CHUNKED, 'hello'],
      ['a content coding beside it', 'Transfer-Encoding: chunked\r\nContent-Encoding: gzip', 'ok', CHUNKED, 'hello'],
      ['TE is no Transfer-Encoding', 'TE: chunked', 'ok', '', ''],
      ['an underscore', 'Transfer_Encoding: chunked', [400, 'ok'], '', ''],
      [
        'an announced trailer',
        'Transfer-Encoding: chunked\r\nTrailer: X-T',
        'ok',
        '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
        'hello',
      ],
    ]),
    // Values two readers disagree about, each with a body that is a chunked one.
    ...posts(
      'coding value',
      DOUBTFUL.map(([name, value]) => [name, `Transfer-Encoding: ${value}`, 400, CHUNKED] as const),
    ),
    ...posts(
      'coding name',
      NAMES.map(([name, line, verdict]) => [name, line, verdict, CHUNKED] as const),
    ),
    ...posts(
      'coding twice',
      [
        ['equal', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 400],
        ['identity last', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', 400],
        ['identity first', 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', 400],
        ['empty first', 'Transfer-Encoding:\r\nTransfer-Encoding: chunked', 400],
        ['empty last', 'Transfer-Encoding: chunked\r\nTransfer-Encoding:', 400],
        ['in two cases', 'Transfer-Encoding: chunked\r\ntransfer-encoding: chunked', 400],
        ['gzip, then chunked', 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked', 400],
      ],
      { body: CHUNKED },
    ),
    ...permutations(),
  ];
}

/** Every coding line beside every length, in both orders: all are refused, whoever would win. */
function permutations(): WireCase[] {
  const codings = [
    ['chunked', 'Transfer-Encoding: chunked'],
    ['Chunked', 'Transfer-Encoding: Chunked'],
    ['identity', 'Transfer-Encoding: identity'],
    ['unknown', 'Transfer-Encoding: x'],
    ['comma', 'Transfer-Encoding: ,chunked'],
    ['gzip', 'Transfer-Encoding: gzip, chunked'],
    ['no-break space', 'Transfer-Encoding: \xa0chunked'],
    ['vertical tab', 'Transfer-Encoding: \x0bchunked'],
    ['space before colon', 'Transfer-Encoding : chunked'],
    ['folded', 'Transfer-Encoding:\r\n chunked'],
    ['twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
    ['cow', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow'],
    ['quoted', 'Transfer-Encoding: "chunked"'],
    ['empty', 'Transfer-Encoding:'],
  ] as const;
  const lengths = [
    ['its length', `Content-Length: ${BOTH.length}`],
    ['length 0', 'Content-Length: 0'],
    ['length 5', 'Content-Length: 5'],
    ['a signed length', `Content-Length: +${BOTH.length}`],
  ] as const;
  const cases: WireCase[] = [];
  for (const [coding, codingLine] of codings) {
    for (const [length, lengthLine] of lengths) {
      for (const order of ['before', 'behind'] as const) {
        const both = order === 'before' ? [codingLine, lengthLine] : [lengthLine, codingLine];
        const raw = `POST {path} HTTP/1.1\r\nHost: m\r\nX-Case: {tag}\r\n${both.join('\r\n')}\r\n\r\n${BOTH}`;
        cases.push(toCase('coding and length', `${coding} ${order} ${length}`, 400, raw, []));
      }
    }
  }
  return cases;
}
