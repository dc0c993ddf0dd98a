// Small damage to good bytes, from a seed: the same seed gives the same bytes on every machine.
import { createRandom, type Random } from '../../../src/core/random.ts';
import { parseRequests, targetOf, type WireMessage } from '../wire-parser.ts';
import type { Seen } from '../wire-recorder.ts';
import { allCases } from './cases.ts';
import { PATHS, toBytes } from './case.ts';
import type { Outcome, Shot } from './run.ts';

/** Bytes that mean something to some parser of HTTP. */
const SPECIAL = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '0',
  '1',
  'f',
  'x',
  '+',
  '-',
  '_',
  '"',
  '\x0b',
  '\x7f',
  '\xa0',
  '\xff',
  '/',
  '\r\n\r\n',
  'chunked',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5\r\n',
  'Host: m\r\n',
];
/** Mutating a megabyte tests the same bytes as mutating a kilobyte. */
const BYTES_MAX = 4_096;

/** `count` mutated cases; each must end like one of the readings that are left, and never as two requests for one. */
export function mutatedShots(seed: number, count: number): Shot[] {
  const random = createRandom(seed);
  const cases = allCases().filter(({ raw }) => raw.length < BYTES_MAX);
  return Array.from({ length: count }, (_, i) => {
    const one = cases[random.int(cases.length)]!;
    const tag = `m${String(i).padStart(7, '0')}`;
    const path = random.int(2) === 0 ? PATHS.batched : PATHS.streamed;
    let text = toBytes(one, path, tag).toString('latin1');
    for (let times = 1 + random.int(3); times > 0; times--) text = mutate(text, random);
    return toMutatedShot(`mutation ${seed}/${i} of ${one.name}`, tag, Buffer.from(text, 'latin1'));
  });
}

export function mutate(text: string, random: Random): string {
  const at = random.int(text.length + 1);
  const end = Math.min(text.length, at + 1 + random.int(8));
  const special = SPECIAL[random.int(SPECIAL.length)]!;
  switch (random.int(7)) {
    case 0:
      return text.slice(0, at) + special + text.slice(at);
    case 1:
      return text.slice(0, at) + special + text.slice(at + special.length);
    case 2:
      return text.slice(0, at) + text.slice(end);
    case 3:
      return text.slice(0, end) + text.slice(at);
    case 4:
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << random.int(8))) + text.slice(at + 1);
    case 5: {
      // A whole line twice, or gone.
      const lines = text.split('\r\n');
      const line = random.int(lines.length);
      lines.splice(line, random.int(2), ...(random.int(2) === 0 ? [lines[line] ?? ''] : []));
      return lines.join('\r\n');
    }
    default:
      return text.slice(0, at);
  }
}

/** Judged by our own reading of the bytes: whatever passes must be one of the requests that they hold. */
export function toMutatedShot(name: string, tag: string, bytes: Buffer): Shot {
  const { requests } = parseRequests(bytes);
  const isOwn = (seen: Seen): boolean => requests.some((request) => isSame(request, seen));
  return {
    name: `${name} ${JSON.stringify(bytes.toString('latin1').slice(0, 600))}`,
    tag,
    bytes,
    cutAt: 0,
    wants: null,
    mayBe: isOwn,
    mayAsk: (head) =>
      requests.some((request) => head.startsWith(request.start.slice(0, request.start.lastIndexOf(' ') + 1))),
    judge(outcome: Outcome, seen: readonly Seen[]): string | null {
      const got = `${outcome.kind} [${outcome.statuses.join()}], ${seen.length} passed`;
      if (outcome.fault !== null) return `${got}, answer: ${outcome.fault}`;
      if (seen.length > requests.length) return `${got} of ${requests.length} sent`;
      const stranger = seen.find((one) => !isOwn(one));
      if (stranger !== undefined)
        return `${got}, none of ours: ${stranger.head}${stranger.body.toString('latin1').slice(0, 100)}`;
      const answered = outcome.statuses.filter((status) => status === 200).length;
      return answered > requests.length ? `${got} of ${requests.length} sent` : null;
    },
  };
}

function isSame(request: WireMessage, seen: Seen): boolean {
  const { method, target } = targetOf(request);
  return method === seen.method && target === seen.target && request.body.equals(seen.body);
}
