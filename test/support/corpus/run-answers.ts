// Lets the model server answer badly, and looks at what callers get: the one who asked, and those who come after.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectWire, faultOf, toPredict, toRequest, type WireClient } from '../wire-client.ts';
import { statusOf, type WireMessage } from '../wire-parser.ts';
import { answerEcho, type Script, type Seen, type WireRecorder } from '../wire-recorder.ts';
import { play, type AnswerVerdict, type BadAnswer } from './answers.ts';

/** How the bad answer is met: streamed to one caller, to one caller of a batched path, or to three joined in one call. */
export type Meeting = 'streamed' | 'alone' | 'joined';

export interface AnswerTally {
  asked: number;
  /** Bad answers that were met by several in one call. */
  joined: number;
  readonly verdicts: Record<AnswerVerdict, number>;
  readonly faults: string[];
}

/** No caller waits longer than the agent's own timeout and this. */
const SLACK_MS = 3_000;
const HOLD_MS = 150;
const MEMBERS = 3;

/** A script that plays the bad answer for targets `/bad/N` and models `badN`, once each for joined calls. */
export function toBadScript(answers: readonly BadAnswer[]): Script & { readonly membersMet: Map<number, number> } {
  const played = new Set<string>();
  const membersMet = new Map<number, number>();
  return {
    membersMet,
    request(seen: Seen) {
      const index = /\/bad\/(\d+)|\/bad(\d+):predict/.exec(seen.target);
      if (index === null) return answerEcho(seen);
      // The holder keeps the model busy until the members of the joined call have gathered.
      if (seen.body.includes('hold')) return void setTimeout(() => answerEcho(seen), HOLD_MS);
      const i = Number(index[1] ?? index[2]);
      const answer = answers[i]!;
      const isJoined = seen.body.includes('member');
      // Members sent once more alone get their own, good answers.
      if (isJoined && played.has(seen.target)) return answerEcho(seen);
      played.add(seen.target);
      membersMet.set(i, seen.body.toString().split('member').length - 1);
      if (!answer.mayReuse) seen.link.poison = answer.name;
      void play(answer.steps, seen.link.socket);
    },
  };
}

export async function runAnswers(
  port: number,
  recorder: WireRecorder,
  answers: readonly BadAnswer[],
  meeting: Meeting,
  timeoutMs: number,
  parallel = 16,
): Promise<AnswerTally> {
  const tally: AnswerTally = { asked: 0, joined: 0, verdicts: { ok: 0, fault: 0, cut: 0 }, faults: [] };
  recorder.clear();
  const script = toBadScript(answers);
  recorder.script = script;
  const meet = async (i: number): Promise<void> => {
    const answer = answers[i]!;
    if (meeting === 'joined') {
      await runJoined(port, answer, i, () => script.membersMet.get(i) ?? 0, timeoutMs, tally);
      if ((script.membersMet.get(i) ?? 0) > 1) tally.joined += 1;
    } else await runAlone(port, answer, i, meeting, timeoutMs, tally);
    await checkGood(port, `${answer.name}, ${meeting}`, tally);
  };
  const isLate = (i: number): boolean => answers[i]!.group === 'late';
  const together = [...answers.keys()].filter((i) => !isLate(i));
  const worker = async (): Promise<void> => {
    for (let i = together.shift(); i !== undefined; i = together.shift()) await meet(i);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  for (const i of answers.keys()) if (isLate(i)) await meet(i);
  for (const word of recorder.reused) tally.faults.push(`poisoned connection used again: ${word}`);
  for (const word of recorder.smuggled) tally.faults.push(`smuggled: ${word}`);
  return tally;
}

async function runAlone(
  port: number,
  answer: BadAnswer,
  i: number,
  meeting: Meeting,
  timeoutMs: number,
  tally: AnswerTally,
): Promise<void> {
  const client = await connectWire(port);
  const bytes =
    meeting === 'streamed'
      ? toRequest(answer.method, `/bad/${i}`, answer.method === 'HEAD' ? null : 'x')
      : toPredict(['x'], [], `bad${i}`);
  client.write(bytes, 1, meeting === 'streamed' && answer.method === 'HEAD');
  const got = await client.next(timeoutMs + SLACK_MS).catch(() => 'nothing' as const);
  await sleep(answer.group === 'late' ? 50 : 10);
  tally.asked += 1;
  const verdict = toVerdict(client, got, answer);
  if (verdict in tally.verdicts) tally.verdicts[verdict as AnswerVerdict] += 1;
  if (!answer.verdicts.includes(verdict as AnswerVerdict))
    tally.faults.push(`${answer.name}, ${meeting}: ${answer.verdicts.join(' or ')}, but ${verdict}`);
  client.destroy();
}

/** Each member gets its own part or an error of the agent's, whatever happened to the call. */
async function runJoined(
  port: number,
  answer: BadAnswer,
  i: number,
  membersMet: () => number,
  timeoutMs: number,
  tally: AnswerTally,
): Promise<void> {
  const holder = await connectWire(port);
  const members = await Promise.all(Array.from({ length: MEMBERS }, () => connectWire(port)));
  holder.write(toPredict(['hold'], [], `bad${i}`));
  await sleep(HOLD_MS / 3);
  for (const [m, client] of members.entries()) client.write(toPredict([`member ${m}`], [], `bad${i}`));
  for (const [m, client] of members.entries()) {
    const got = await client.next(2 * (timeoutMs + SLACK_MS)).catch(() => 'nothing' as const);
    tally.asked += 1;
    const text = got === null || got === 'nothing' ? null : got.body.toString('latin1');
    // Whoever happened to meet the bad answer alone has it for its own.
    const isOwn = text === `{"predictions":["member ${m}"]}` || (membersMet() === 1 && text === answer.body);
    if (isOwn) tally.verdicts.ok += 1;
    else if (isFault(got)) tally.verdicts.fault += 1;
    else if (got === null && membersMet() === 1) tally.verdicts.cut += 1;
    else tally.faults.push(`${answer.name}, joined: member ${m} of ${membersMet()} got ${toText(got)}`);
    if (client.fault !== null) tally.faults.push(`${answer.name}, joined: ${client.fault}`);
    client.destroy();
  }
  holder.destroy();
}

let goodCount = 0;

async function checkGood(port: number, after: string, tally: AnswerTally): Promise<void> {
  for (const model of ['m', 'n']) {
    const client = await connectWire(port);
    const nonce = `good-${goodCount++}`;
    client.write(toPredict([nonce], [], model));
    const got = await client.next(SLACK_MS).catch(() => 'nothing' as const);
    const isOwn = got !== null && got !== 'nothing' && got.body.toString() === `{"predictions":["${nonce}"]}`;
    if (!isOwn || client.fault !== null)
      tally.faults.push(`after ${after}: ${nonce} got ${toText(got)} ${client.fault ?? ''}`);
    client.destroy();
  }
}

function toVerdict(client: WireClient, got: WireMessage | null | 'nothing', answer: BadAnswer): string {
  if (got === 'nothing') return 'no answer in time';
  if (client.fault !== null) return `bytes that are no answer: ${client.fault}`;
  if (got === null) return client.isClosed ? 'cut' : 'no answer';
  if (isFault(got)) return 'fault';
  return got.body.toString('latin1') === answer.body ? 'ok' : toText(got);
}

function isFault(got: WireMessage | null | 'nothing'): boolean {
  return got !== null && got !== 'nothing' && [502, 503, 504].includes(statusOf(got)) && faultOf(got) !== null;
}

function toText(got: WireMessage | null | 'nothing'): string {
  return got === null || got === 'nothing' ? String(got) : `${got.start} ${got.body.toString('latin1').slice(0, 100)}`;
}
