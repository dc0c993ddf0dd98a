// Sends cases to an agent and holds what came back, and what the model server saw, against what should have come.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectWire, faultOf, toPredict, type WireClient } from '../wire-client.ts';
import { parseRequests, statusOf, targetOf, valuesOf, type WireMessage } from '../wire-parser.ts';
import type { Seen, WireRecorder } from '../wire-recorder.ts';
import { toBytes, type Passed, type Verdict, type WireCase } from './case.ts';

/** What a caller saw of its own bytes. */
export interface Outcome {
  readonly statuses: readonly number[];
  readonly answers: readonly WireMessage[];
  /** `answered` also when the connection closed behind the answer. */
  readonly kind: 'answered' | 'closed' | 'waited' | 'hung';
  readonly isClosed: boolean;
  readonly fault: string | null;
}

/** One run: bytes, where they are cut in two (0: not), and what they should lead to. */
export interface Shot {
  readonly name: string;
  readonly tag: string;
  readonly bytes: Buffer;
  readonly cutAt: number;
  /** Answers after which there is nothing more to wait for; null: by our own reading of the bytes. */
  readonly wants: number | null;
  /** True for a request without this shot's tag that may still be its own: mutations change tags too. */
  mayBe?(stranger: Seen): boolean;
  /** True when the bytes really ask for what looks smuggled. */
  mayAsk?(head: string): boolean;
  /** Why this run is wrong, or null. */
  judge(outcome: Outcome, seen: readonly Seen[]): string | null;
}

export interface Target {
  readonly port: number;
  readonly recorder: WireRecorder;
  /** Connections at once. */
  readonly parallel: number;
}

export interface Tally {
  shots: number;
  /** Cross-talk checks on a pooled connection, all right if `faults` has no other word. */
  goodRequests: number;
  /** By outcome kind. */
  readonly kinds: Record<Outcome['kind'], number>;
  readonly faults: string[];
}

/** No socket may be silent longer once it has nothing to wait for. */
const HUNG_MS = 2_000;
/** So long nothing must come for a request that is not whole. */
const QUIET_MS = 40;
const CUT_GAP_MS = 2;

export function createTally(): Tally {
  return { shots: 0, goodRequests: 0, kinds: { answered: 0, closed: 0, waited: 0, hung: 0 }, faults: [] };
}

/** Judged together; a second answer or request that comes late still finds its shot. */
const CHUNK = 800;
const SHOTS_PER_GOOD = 50;

/** Runs all shots, `parallel` at a time; in between, good requests on a pooled connection must be answered right. */
export async function runShots(target: Target, shots: readonly Shot[], tally: Tally = createTally()): Promise<Tally> {
  const { recorder, parallel, port } = target;
  let good = await connectWire(port);
  for (let start = 0; start < shots.length; start += CHUNK) {
    const chunk = shots.slice(start, start + CHUNK);
    recorder.clear();
    const runs: { outcome: Outcome; client: WireClient }[] = [];
    let next = 0;
    let ended = 0;
    const worker = async (): Promise<void> => {
      while (next < chunk.length) {
        const i = next++;
        runs[i] = await fire(port, chunk[i]!);
        ended += 1;
        if (ended % SHOTS_PER_GOOD === 0) good = await checkGood(port, good, tally);
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallel, chunk.length) }, worker));
    good = await checkGood(port, good, tally);
    judgeChunk(recorder, chunk, runs, tally);
    for (const { client } of runs) client.destroy();
  }
  good.destroy();
  return tally;
}

function judgeChunk(
  recorder: WireRecorder,
  chunk: readonly Shot[],
  runs: readonly { outcome: Outcome }[],
  tally: Tally,
): void {
  const where = `between ${chunk[0]?.name} and ${chunk.at(-1)?.name}`;
  const byTag = new Map(chunk.map((shot) => [shot.tag, [] as Seen[]]));
  const shotOf = new Map(chunk.map((shot) => [shot.tag, shot]));
  for (const seen of recorder.seen) {
    const own = shotOf.get(seen.tag ?? '');
    // A mutation may have turned its tag into another's.
    const isOwn = own !== undefined && (own.mayBe?.(seen) ?? true);
    if (isOwn || (own !== undefined && !chunk.some((shot) => shot.mayBe?.(seen)))) byTag.get(own.tag)?.push(seen);
    else if (seen.tag !== 'good' && !chunk.some((shot) => shot.mayBe?.(seen)))
      tally.faults.push(`nobody's request ${where}: ${seen.head}`);
  }
  for (const [i, shot] of chunk.entries()) {
    const { outcome } = runs[i]!;
    tally.shots += 1;
    tally.kinds[outcome.kind] += 1;
    const wrong =
      outcome.kind === 'hung' ? `hung [${outcome.statuses.join()}]` : shot.judge(outcome, byTag.get(shot.tag) ?? []);
    if (wrong !== null) tally.faults.push(`${shot.name}${shot.cutAt > 0 ? ` cut at ${shot.cutAt}` : ''}: ${wrong}`);
  }
  for (const word of recorder.smuggled) {
    if (!chunk.some((shot) => shot.mayAsk?.(word))) tally.faults.push(`smuggled ${where}: ${word}`);
  }
  for (const word of recorder.reused) tally.faults.push(`poisoned connection used again ${where}: ${word}`);
}

async function fire(port: number, shot: Shot): Promise<{ outcome: Outcome; client: WireClient }> {
  const { bytes, cutAt } = shot;
  const own = parseRequests(bytes);
  const client = await connectWire(port);
  const isHead = bytes.toString('latin1', 0, 5) === 'HEAD ';
  // More than there are requests: the refusals of what follows them, and of a body that never ends.
  const asks = own.requests.length + 2;
  if (cutAt > 0) {
    client.write(bytes.subarray(0, cutAt), asks, isHead);
    await sleep(CUT_GAP_MS);
    client.write(bytes.subarray(cutAt), 0, isHead);
  } else client.write(bytes, asks, isHead);
  const want = shot.wants ?? Math.max(1, own.requests.length);
  const isDone = (): boolean => client.isClosed || client.answers.length >= want;
  // Nothing whole and nothing wrong: the agent must wait, and we look whether it does.
  const isUnfinished = own.requests.length === 0 && own.fault === null;
  let waited = false;
  if (!(await client.until(isDone, isUnfinished ? QUIET_MS : HUNG_MS))) {
    waited = client.answers.length === 0;
    client.socket.end();
    await client.until(() => client.isClosed, HUNG_MS);
  }
  // A refusal is followed by the end of the connection, which may be one turn behind it.
  const isRefused = client.answers.some((answer) => faultOf(answer) === 'bad_request');
  if (isRefused) await client.until(() => client.isClosed, HUNG_MS);
  const kind = waited ? (client.isClosed ? 'waited' : 'hung') : client.answers.length > 0 ? 'answered' : 'closed';
  return {
    client,
    outcome: {
      statuses: client.answers.map(statusOf),
      answers: client.answers,
      kind: isRefused && !client.isClosed ? 'hung' : kind,
      isClosed: client.isClosed,
      fault: client.fault,
    },
  };
}

let goodCount = 0;

/** Two may overlap: each then has the pooled connection pipelined, and still its own answer. */
async function checkGood(port: number, client: WireClient, tally: Tally): Promise<WireClient> {
  const pooled = client.isClosed || client.socket.destroyed ? await connectWire(port) : client;
  const nonce = `good-${goodCount++}`;
  pooled.write(toPredict([nonce], ['x-case: good']));
  const answer = await pooled.next(HUNG_MS).catch(() => null);
  tally.goodRequests += 1;
  const got = answer === null ? 'nothing' : `${answer.start} ${answer.body.toString()}`;
  if (answer === null) pooled.destroy();
  if (answer?.body.toString() !== `{"predictions":["${nonce}"]}`) tally.faults.push(`cross-talk: ${got} for ${nonce}`);
  if (pooled.fault !== null) tally.faults.push(`cross-talk: ${pooled.fault}`);
  return pooled;
}

let shotCount = 0;

/** A case of the corpus as a shot on one path. */
export function toShot(one: WireCase, path: string, cutAt = 0): Shot {
  const tag = `c${shotCount++}`;
  const bytes = toBytes(one, path, tag);
  return {
    name: `${one.name} on ${path}`,
    tag,
    bytes,
    cutAt,
    wants: one.passed.length > 0 ? one.passed.length : null,
    judge(outcome, seen) {
      const words = one.verdicts.map((verdict) => judgeCase(one, path, bytes, verdict, outcome, seen));
      return words.includes(null) ? null : `expected ${one.verdicts.join(' or ')}: ${words[0]}`;
    },
  };
}

function judgeCase(
  one: WireCase,
  path: string,
  bytes: Buffer,
  verdict: Verdict,
  outcome: Outcome,
  seen: readonly Seen[],
): string | null {
  const got = `${outcome.kind} [${outcome.statuses.join()}]${outcome.isClosed ? ' closed' : ''}, ${seen.length} passed`;
  if (outcome.fault !== null) return `${got}, answer: ${outcome.fault}`;
  if (verdict === 'ok') return judgePassed(one, path, bytes, outcome, seen, got);
  if (verdict === 'cut') {
    const isOnlyOwn = seen.every(({ target }) => one.passed.some((passed) => fill(passed, path).target === target));
    return outcome.isClosed && isOnlyOwn && outcome.statuses.every((status) => status === 200) ? null : got;
  }
  if (seen.length > 0) return `${got}: reached the model server`;
  if (verdict === 'wait')
    return outcome.kind === 'waited' && outcome.statuses.every((status) => status === 400) ? null : got;
  if (verdict === 'closed') return outcome.kind === 'closed' ? null : got;
  const [first] = outcome.answers;
  if (outcome.statuses.length !== 1 || outcome.statuses[0] !== verdict || first === undefined) return got;
  // 417 is the one refusal after which the connection is as sound as before.
  if (verdict === 417) return null;
  if (!outcome.isClosed) return `${got}: still open`;
  return faultOf(first) === 'bad_request' ? null : `${got}: not marked as the agent's own`;
}

function judgePassed(
  one: WireCase,
  path: string,
  bytes: Buffer,
  outcome: Outcome,
  seen: readonly Seen[],
  got: string,
): string | null {
  const expected = one.passed.map((passed) => fill(passed, path));
  if (
    outcome.statuses.length < expected.length ||
    outcome.statuses.slice(0, expected.length).some((status) => status !== 200)
  )
    return got;
  if (seen.length !== expected.length) return `${got} instead of ${expected.length}`;
  const left = [...seen];
  for (const [i, want] of expected.entries()) {
    const found = left.findIndex((one) => one.method === want.method && one.target === want.target);
    const [match] = found === -1 ? [] : left.splice(found, 1);
    if (match === undefined) return `${got}: ${want.method} ${want.target} did not pass`;
    if (match.body.toString('latin1') !== want.body)
      return `${got}: body of ${match.body.length} bytes, not ${want.body.length}`;
    // Answers in the order of the questions, whatever order they were asked upstream in.
    const answer = outcome.answers[i]!;
    if (want.method !== 'HEAD') {
      const { tag, target } = JSON.parse(answer.body.toString()) as { tag: unknown; target: unknown };
      if (tag !== match.tag || target !== want.target)
        return `${got}: answer ${i} is another's: ${answer.body.toString()}`;
    }
  }
  if (one.endsAfter && !outcome.isClosed) return `${got}: still open`;
  return judgeHeaders(parseRequests(bytes).requests, seen);
}

const OF_THE_HOP = new Set(
  'connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade expect content-length http2-settings'.split(
    ' ',
  ),
);

/** End-to-end headers in their order, those of the hop gone, nothing added but an id. */
function judgeHeaders(own: readonly WireMessage[], seen: readonly Seen[]): string | null {
  for (const request of own) {
    const match = seen.find(({ start }) => start.split(' ')[1] === targetOf(request).target);
    if (match === undefined) continue;
    const named = valuesOf(request.headers, 'connection').flatMap((value) => value.toLowerCase().split(/\s*,\s*/));
    const want = request.headers.filter(([name]) => {
      const lower = name.toLowerCase();
      return lower !== 'host' && !OF_THE_HOP.has(lower) && !named.includes(lower);
    });
    const hasId = valuesOf(request.headers, 'x-request-id').length > 0;
    const got = match.headers.filter(([name]) => {
      const lower = name.toLowerCase();
      return ![
        'host',
        'connection',
        'content-length',
        'transfer-encoding',
        ...(hasId ? [] : ['x-request-id']),
      ].includes(lower);
    });
    if (toText(want) !== toText(got))
      return `headers became ${toText(got).slice(0, 300)} from ${toText(want).slice(0, 300)}`;
    const [host] = valuesOf(request.headers, 'host');
    if (host !== undefined && !named.includes('host') && valuesOf(match.headers, 'host')[0] !== host)
      return `host became ${valuesOf(match.headers, 'host')[0]}`;
  }
  return null;
}

/** Deadlines count down on their way. */
function toText(headers: WireMessage['headers']): string {
  return JSON.stringify(headers.filter(([name]) => name !== 'x-request-timeout-ms'));
}

function fill(passed: Passed, path: string): Passed {
  return { ...passed, target: passed.target.replaceAll('{path}', path) };
}
