// Answers that no model server should give, and what a caller must see of each: an error made by the agent, or a clean
// cut; never other bytes than those of its own answer, and never a connection used again after it.

/** Bytes to write (latin1), ms to wait, or how the connection ends. A script without an end leaves it open. */
export type Step = string | number | { readonly end: 'FIN' | 'RST' };
const END: Step = { end: 'FIN' };
const RESET: Step = { end: 'RST' };

/**
 * - `fault`: 502, 503 or 504, marked as the agent's own
 * - `cut`: the connection ends in the middle of the answer
 * - `ok`: the answer passes, with this body
 */
export type AnswerVerdict = 'fault' | 'cut' | 'ok';

export interface BadAnswer {
  readonly name: string;
  readonly group: string;
  readonly steps: readonly Step[];
  readonly verdicts: readonly AnswerVerdict[];
  /** The body for `ok`. */
  readonly body: string;
  /** Sound after all: the connection may serve again. */
  readonly mayReuse: boolean;
  readonly method: 'POST' | 'HEAD';
}

type Row = readonly [
  name: string,
  steps: readonly Step[],
  verdict: AnswerVerdict | readonly AnswerVerdict[],
  body?: string,
];

const OK = 'HTTP/1.1 200 OK\r\n';
const HELLO = `${OK}Content-Length: 5\r\n\r\nhello`;
const ROGUE = `${OK}Content-Length: 8\r\nX-Rogue: 1\r\n\r\n{"rogue"`;
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const framed = (lines: string, body = 'hello'): string => `${OK}${lines}\r\n\r\n${body}`;

export function badAnswers(): BadAnswer[] {
  return [
    // First lines that are none.
    ...rows('status line', [
      ['garbage', ['garbage\r\n\r\n'], 'fault'],
      ['binary', ['\x16\x03\x01\x02\x00\x01\x00'], 'fault'],
      ['an empty head', ['\r\n\r\n', 20, END], 'fault'],
      ['a body without a head', ['{"predictions":[1]}', END], 'fault'],
      ['a version only', ['HTTP/1.1\r\n\r\n'], 'fault'],
      ['no status', ['HTTP/1.1 \r\n\r\n'], 'fault'],
      ['two digits', ['HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'], 'fault'],
      ['four digits', ['HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'], 'fault'],
      ['letters', ['HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n'], 'fault'],
      ['a sign', ['HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n'], 'fault'],
      ['HTTP/2.0', ['HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'], ['fault', 'ok'], 'hello'],
      ['HTTP/1.2', ['HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello'], ['fault', 'ok'], 'hello'],
      ['HTTP/9.9', ['HTTP/9.9 200 OK\r\nContent-Length: 5\r\n\r\nhello'], 'fault'],
      ['another protocol', ['ICY 200 OK\r\n\r\n'], 'fault'],
      ['small letters', ['http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'], 'fault'],
      ['a space first', [` ${HELLO}`], 'fault'],
      ['a null in the reason', ['HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello'], ['fault', 'ok'], 'hello'],
      ['a bare carriage return in it', ['HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello'], 'fault'],
      ['a request', ['GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n'], 'fault'],
      ['status 000', ['HTTP/1.1 000 X\r\nContent-Length: 5\r\n\r\nhello'], ['fault', 'cut']],
      ['status 099', ['HTTP/1.1 099 X\r\nContent-Length: 5\r\n\r\nhello'], ['fault', 'cut']],
    ]),
    // Framing with two readings.
    ...rows('framing', [
      ['a signed length', [framed('Content-Length: +5')], 'fault'],
      ['a negative length', [framed('Content-Length: -5')], 'fault'],
      ['a hexadecimal length', [framed('Content-Length: 0x5')], 'fault'],
      ['an empty length', [framed('Content-Length:')], 'fault'],
      ['a list', [framed('Content-Length: 5, 5')], 'fault'],
      ['two equal lengths', [framed('Content-Length: 5\r\nContent-Length: 5')], 'fault'],
      ['two lengths', [framed('Content-Length: 5\r\nContent-Length: 6')], 'fault'],
      ['an overflowing length', [framed('Content-Length: 18446744073709551621')], 'fault'],
      [
        'a coding and a length',
        [framed('Transfer-Encoding: chunked\r\nContent-Length: 5', '5\r\nhello\r\n0\r\n\r\n')],
        'fault',
      ],
      [
        'a length and a coding',
        [framed('Content-Length: 5\r\nTransfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n')],
        'fault',
      ],
      ['an unknown coding', [framed('Transfer-Encoding: x'), END], 'fault'],
      ['identity', [framed('Transfer-Encoding: identity'), END], 'fault'],
      ['gzip, chunked', [framed('Transfer-Encoding: gzip, chunked', '5\r\nhello\r\n0\r\n\r\n')], 'fault'],
      ['chunked, identity', [framed('Transfer-Encoding: chunked, identity', '5\r\nhello\r\n0\r\n\r\n'), END], 'fault'],
      ['a comma first', [framed('Transfer-Encoding: ,chunked', '5\r\nhello\r\n0\r\n\r\n')], 'fault'],
      [
        'chunked twice',
        [framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n')],
        'fault',
      ],
      ['a space before the colon', [framed('Content-Length : 5')], 'fault'],
      ['a folded length', [framed('Content-Length:\r\n 5')], 'fault'],
    ]),
    ...rows('chunks', [
      ['0x', [`${CHUNKED}0x5\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['a sign', [`${CHUNKED}+5\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['letters', [`${CHUNKED}zz\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['overflow', [`${CHUNKED}10000000000000005\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['longer than its size', [`${CHUNKED}3\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['shorter than its size', [`${CHUNKED}9\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['a bare line feed', [`${CHUNKED}5\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['no line end', [`${CHUNKED}5\r\nhello0\r\n\r\n`], ['cut', 'fault']],
      ['a bare carriage return in an extension', [`${CHUNKED}5;a\rb\r\nhello\r\n0\r\n\r\n`], ['cut', 'fault']],
      ['the second is bad', [`${CHUNKED}5\r\nhello\r\n`, 20, 'zz\r\n'], 'cut'],
      ['cut in the size', [`${CHUNKED}5`, END], ['cut', 'fault']],
      ['cut in the data', [`${CHUNKED}5\r\nhel`, END], ['cut', 'fault']],
      ['cut before the end', [`${CHUNKED}5\r\nhello\r\n`, END], ['cut', 'fault']],
      ['reset before the end', [`${CHUNKED}5\r\nhello\r\n`, 20, RESET], ['cut', 'fault']],
    ]),
    // More or less than was promised.
    ...rows('length', [
      ['closed at once', [END], 'fault'],
      ['reset at once', [RESET], 'fault'],
      ['closed in the status line', ['HTTP/1.1 2', END], 'fault'],
      ['closed in the head', [`${OK}Content-`, END], 'fault'],
      ['reset in the head', [`${OK}Content-`, 20, RESET], 'fault'],
      ['no body', [`${OK}Content-Length: 5\r\n\r\n`, END], ['cut', 'fault']],
      ['half a body', [`${OK}Content-Length: 5\r\n\r\nhel`, END], ['cut', 'fault']],
      ['half a body, reset', [`${OK}Content-Length: 5\r\n\r\nhel`, 20, RESET], ['cut', 'fault']],
      [
        'half a megabyte of one',
        [`${OK}Content-Length: 1000000\r\n\r\n${'x'.repeat(500_000)}`, 50, RESET],
        ['cut', 'fault'],
      ],
      ['more than its length', [`${HELLO}more`], 'ok', 'hello'],
      ['much more than its length', [`${HELLO}${'x'.repeat(100_000)}`], 'ok', 'hello'],
      ['a second answer at once', [`${HELLO}${ROGUE}`], 'ok', 'hello'],
      ['a second answer behind chunks', [`${CHUNKED}5\r\nhello\r\n0\r\n\r\n${ROGUE}`], 'ok', 'hello'],
      // undici takes a reset for the end where nothing else marks it.
      ['no framing, then reset', [`${OK}\r\nhel`, 20, RESET], ['cut', 'fault', 'ok'], 'hel'],
    ]),
    // On an idle connection: what comes before the next question was written is seen, and ends it. (What comes after it
    // is its answer to any reader of HTTP/1.1, so these are met one at a time.)
    ...rows('late', [
      ['a second answer', [HELLO, 5, ROGUE], 'ok', 'hello'],
      ['a second answer behind chunks', [`${CHUNKED}5\r\nhello\r\n0\r\n\r\n`, 5, ROGUE], 'ok', 'hello'],
      ['half an answer', [HELLO, 5, `${OK}Content-`], 'ok', 'hello'],
      ['a word', [HELLO, 5, 'x'], 'ok', 'hello'],
      ['its end', [HELLO, 5, END], 'ok', 'hello'],
      ['its reset', [HELLO, 5, RESET], 'ok', 'hello'],
    ]),
    // 1xx belongs to this hop, and a switch of protocol was never asked for.
    ...rows('interim', [
      ['101', ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n', ROGUE], 'fault'],
      ['101 without headers', ['HTTP/1.1 101 X\r\n\r\n'], 'fault'],
      [
        'a flood of 103, then nothing',
        [...Array.from({ length: 50 }, (): Step => 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(100)), END],
        'fault',
      ],
      [
        'a slow flood of 102',
        Array.from({ length: 400 }, (_, i): Step => (i % 2 === 0 ? 'HTTP/1.1 102 Processing\r\n\r\n' : 20)),
        'fault',
      ],
      ['100 and nothing', ['HTTP/1.1 100 Continue\r\n\r\n'], 'fault'],
      ['100 with a body', ['HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello', END], 'fault'],
    ]),
    // Heads that are too much or not well formed.
    ...rows('head', [
      ['no colon', [framed('Nonsense\r\nContent-Length: 5')], 'fault'],
      ['no name', [framed(': x\r\nContent-Length: 5')], 'fault'],
      ['a space in the name', [framed('X A: b\r\nContent-Length: 5')], 'fault'],
      ['a null in a value', [framed('X-A: b\0c\r\nContent-Length: 5')], 'fault'],
      ['a null in a name', [framed('X\0A: b\r\nContent-Length: 5')], 'fault'],
      ['a bare carriage return', [framed('X-A: b\rX-B: c\r\nContent-Length: 5')], 'fault'],
      ['bare line feeds', ['HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'], 'fault'],
      ['a folded line', [framed('X-A: b\r\n c\r\nContent-Length: 5')], 'fault'],
      ['17 KiB in one header', [framed(`X-A: ${'a'.repeat(17 << 10)}\r\nContent-Length: 5`)], 'fault'],
      ['4 MiB in one header', [`${OK}X-A: `, ...Array.from({ length: 64 }, (): Step => 'a'.repeat(64 << 10))], 'fault'],
      ['5000 headers', [framed(`${'X-A: b\r\n'.repeat(5000)}Content-Length: 5`)], 'fault'],
      [
        'a head that never ends',
        [OK, ...Array.from({ length: 400 }, (_, i): Step => (i % 2 === 0 ? `X-${i}: b\r\n` : 10))],
        'fault',
      ],
    ]),
    // Silence and drips: bounded by the timeout.
    ...rows('slow', [
      ['silence', [], 'fault'],
      ['half a status line, then silence', ['HTTP/1.1 2'], 'fault'],
      ['a head, then silence', [`${OK}Content-Length: 5\r\n\r\n`], ['cut', 'fault']],
      ['half a body, then silence', [`${OK}Content-Length: 5\r\n\r\nhel`], ['cut', 'fault']],
      ['a head letter by letter', HELLO.split('').flatMap((letter): Step[] => [letter, 100]), 'fault'],
    ]),
    // Odd, but with one reading only: these pass as they are.
    ...rows(
      'sound',
      [
        ['no reason', ['HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello'], 'ok', 'hello'],
        ['chunks', [`${CHUNKED}2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`], 'ok', 'hello'],
        // We never ask for it, and undici takes it for a fault.
        ['100, then the answer', [`HTTP/1.1 100 Continue\r\n\r\n${HELLO}`], ['fault', 'ok'], 'hello'],
        ['1900 headers', [framed(`${'X-A: b\r\n'.repeat(1900)}Content-Length: 5`)], 'ok', 'hello'],
        ['a line end behind it', [`${HELLO}\r\n`], 'ok', 'hello'],
        ['five times 103', ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5), HELLO], 'ok', 'hello'],
        ['letter by letter', HELLO.split('').flatMap((letter): Step[] => [letter, 1]), 'ok', 'hello'],
        ['a body that is no gzip', [framed('Content-Encoding: gzip\r\nContent-Length: 5')], 'ok', 'hello'],
        ['high bytes in a value', [framed('X-A: caf\xe9\r\nContent-Length: 5')], 'ok', 'hello'],
        ['__proto__', [framed('__proto__: b\r\nconstructor: c\r\nContent-Length: 5')], 'ok', 'hello'],
        ['closed behind it', [framed('Connection: close\r\nContent-Length: 5'), END], 'ok', 'hello'],
        ['no framing, closed', [`${OK}\r\nhello`, END], 'ok', 'hello'],
        ['HTTP/1.0', ['HTTP/1.0 200 OK\r\n\r\nhello', END], 'ok', 'hello'],
      ],
      { mayReuse: true },
    ),
    ...rows(
      'no body',
      [
        ['204 with a body', ['HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'], ['ok', 'fault', 'cut'], ''],
        [
          '304 with a body',
          ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello'],
          ['ok', 'fault', 'cut'],
          '',
        ],
      ],
      {},
    ),
    ...rows(
      'HEAD',
      [
        ['with a body', [HELLO], ['ok', 'fault', 'cut'], ''],
        ['with another answer', [`${OK}Content-Length: 5\r\n\r\n${ROGUE}`], ['ok', 'fault', 'cut'], ''],
      ],
      { method: 'HEAD' },
    ),
  ];
}

function rows(
  group: string,
  table: readonly Row[],
  { mayReuse = false, method = 'POST' }: { readonly mayReuse?: boolean; readonly method?: 'POST' | 'HEAD' } = {},
): BadAnswer[] {
  return table.map(([name, steps, verdict, body = '']) => ({
    name: `${group}: ${name}`,
    group,
    steps,
    verdicts: typeof verdict === 'string' ? [verdict] : verdict,
    body,
    mayReuse,
    method,
  }));
}

/** Plays the steps on a connection to the agent; ends early when it is gone. */
export async function play(
  steps: readonly Step[],
  socket: { write(bytes: Buffer): unknown; end(): unknown; resetAndDestroy(): unknown; readonly destroyed: boolean },
): Promise<void> {
  for (const one of steps) {
    if (socket.destroyed) return;
    if (typeof one === 'number') await new Promise((resolve) => setTimeout(resolve, one));
    else if (typeof one === 'string') socket.write(Buffer.from(one, 'latin1'));
    else if (one.end === 'FIN') socket.end();
    else socket.resetAndDestroy();
  }
}
