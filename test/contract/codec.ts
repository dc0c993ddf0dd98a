// The laws of src/wire/codec.ts, for every codec.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom, type Random } from '../../src/core/random.ts';
import { isRefusal, type Codec, type ParsedRequest } from '../../src/wire/codec.ts';
import { toMessage, type Message } from '../wire/echo.ts';

export interface CodecSubject {
  readonly codec: Codec;
  /** Requests that may share a call. */
  readonly group: fc.Arbitrary<readonly Message[]>;
  /** A server whose answer to a row depends on that row alone. */
  readonly serve: (request: Message) => Message;
  /** Plain bodies to mutate, and an answer to two of them joined. */
  readonly seeds: readonly Message[];
}

const RUNS = { numRuns: 300, seed: 20_260_101 };
const MUTATIONS = 10_000;

export function testCodec({ codec, group, serve, seeds }: CodecSubject): void {
  const parse = ({ body, headers }: Message): ParsedRequest => {
    const parsed = codec.parse(body, headers);
    if (isRefusal(parsed)) throw new Error(`${parsed.refusal}: ${body.toString()}`);
    return parsed;
  };

  describe(`codec contract: ${codec.name}`, () => {
    test('requests that differ in ids, rows and data only have one key and may be joined', () => {
      fc.assert(
        fc.property(group, (requests) => {
          const parsed = requests.map(parse);
          expect(requests.every(({ headers }) => codec.accepts(headers))).toBe(true);
          expect(new Set(parsed.map(({ key }) => key)).size).toBe(1);
          expect(parsed.map(({ unbatchable }) => unbatchable)).toEqual(parsed.map(() => null));
        }),
        RUNS,
      );
    });

    test('joining one request asks what it asked, byte for byte', () => {
      fc.assert(
        fc.property(group, ([request]) => {
          const { body, headers } = request as Message;
          const joined = toMessage(codec.join([parse({ body, headers })]));
          expect(joined.body).toEqual(body);
          expect(parse(joined).items).toBe(parse({ body, headers }).items);
        }),
        RUNS,
      );
    });

    test('a joined request holds the items of all its members and has their key', () => {
      fc.assert(
        fc.property(group, (requests) => {
          const members = requests.map(parse);
          const joined = parse(toMessage(codec.join(members)));
          expect(joined.items).toBe(members.reduce((sum, { items }) => sum + items, 0));
          expect(joined.unbatchable).toBeNull();
          if (members.length > 1 || requests.length === 1) expect(joined.key).toBe(members[0]?.key);
        }),
        RUNS,
      );
    });

    test('each member gets the very bytes that it would have been answered alone', () => {
      fc.assert(
        fc.property(group, (requests) => {
          const members = requests.map(parse);
          const answer = serve(toMessage(codec.join(members)));
          const split = codec.split(answer.body, answer.headers, members);
          const alone = requests.map((request) => serve(request));
          expect(
            split.kind === 'split' ? split.payloads.map((payload) => readable(toMessage(payload))) : split,
          ).toEqual(alone.map(readable));
        }),
        RUNS,
      );
    });

    test('an answer with another number of items than sent is told apart, not shared out', () => {
      fc.assert(
        fc.property(group, (requests) => {
          const members = requests.map(parse);
          const answer = serve(toMessage(codec.join([...members, members[0] as ParsedRequest])));
          const expected = members.reduce((sum, { items }) => sum + items, 0);
          const got = expected + (members[0]?.items ?? 0);
          expect(codec.split(answer.body, answer.headers, members)).toEqual({ kind: 'count', expected, got });
        }),
        RUNS,
      );
    });

    test(`${MUTATIONS} mutated bodies and answers never make it throw or pass on broken JSON`, () => {
      const random = createRandom(7);
      let accepted = 0;
      for (let turn = 0; turn < MUTATIONS; turn++) {
        const seed = seeds[turn % seeds.length] as Message;
        const request = { ...seed, body: mutate(seed.body, random) };
        const parsed = codec.parse(request.body, request.headers);
        if (isRefusal(parsed)) {
          expect(parsed.refusal).not.toBe('');
        } else {
          accepted++;
          expect(parsed.items).toBeGreaterThanOrEqual(1);
          const pair = parsed.unbatchable === null ? [parsed, parsed] : [parsed];
          const joined = toMessage(codec.join(pair));
          JSON.parse(joined.body.toString('utf8', 0, toJsonBytes(joined)));
        }
        const members = seeds.map(parse).slice(0, 2);
        const answer = serve(toMessage(codec.join([members[0] as ParsedRequest, members[0] as ParsedRequest])));
        const split = codec.split(mutate(answer.body, random), answer.headers, members);
        expect(['split', 'count', 'malformed']).toContain(split.kind);
      }
      // some mutations hit a digit or a letter: were there none, the loop would test refusals only
      expect(accepted).toBeGreaterThan(MUTATIONS / 100);
    });
  });
}

function toJsonBytes({ body, headers }: Message): number {
  return Number(headers['inference-header-content-length'] ?? body.length);
}

/** Latin-1, so that a difference in any byte is seen, and JSON stays readable in a failure. */
function readable({ body, headers }: Message): readonly unknown[] {
  return [body.toString('latin1'), headers];
}

/** One to three edits: a byte changed, cut out, doubled, replaced by a structural one, or the rest cut off. */
export function mutate(body: Buffer, random: Random): Buffer {
  const int = (bound: number): number => random.int(bound);
  let bytes = Buffer.from(body);
  for (let edits = 1 + int(3); edits > 0 && bytes.length > 0; edits--) {
    const at = int(bytes.length);
    const structural = Buffer.from('[]{}":,\\0-.eE+tfn \u0000é');
    switch (int(6)) {
      case 0:
        bytes[at] = int(256);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + int(4))]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - int(12)))]);
        break;
      case 3:
        bytes[at] = structural[int(structural.length)] as number;
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), structural.subarray(int(structural.length)), bytes.subarray(at)]);
        break;
      default:
        if (int(4) === 0) bytes = bytes.subarray(0, at);
        else bytes[at] = 0x30 + int(10);
    }
  }
  return bytes;
}
