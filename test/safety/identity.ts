// Many callers, each with a secret of its own, before a model server that fails in every way it can: whoever gets an
// answer must get the answer to its own question, and whoever asks must hear something.
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../src/core/random.ts';
import { connectWire, toRequest, type WireClient } from '../support/wire-client.ts';
import { statusOf, valuesOf, type WireMessage } from '../support/wire-parser.ts';
import { toWire, type Script, type Seen } from '../support/wire-recorder.ts';

export interface IdentityPlan {
  readonly port: number;
  readonly requests: number;
  readonly callers: number;
  readonly seed: number;
  /** Share of callers' requests that are cut off by their caller. */
  readonly cancelRatio: number;
}

export interface IdentityTally {
  sent: number;
  own: number;
  /** 5xx, from the model server or the agent. */
  failed: number;
  cancelled: number;
  /** Half an answer, then the end of the connection. */
  cut: number;
  /** Answers that belong to somebody else, or to nobody. */
  readonly mismatched: string[];
  /** Requests that never heard anything. */
  readonly lost: string[];
}

/** What the model server knows better than any caller. */
export interface IdentityModel {
  readonly script: Script;
  calls: number;
  items: number;
  failures: number;
  resets: number;
  /** Calls in which somebody's items came under somebody else's credentials. */
  readonly foreign: string[];
  /** Items that ran again although their first call may have run. */
  readonly repeated: string[];
}

const USERS = 3;
const MODELS = ['a', 'b'] as const;
/** Nobody waits longer: the agent's own bound is 10 s while it knows no target. */
const LOST_MS = 15_000;

/** Fails `failureRatio` of the calls with an error and `resetRatio` with a cut connection. */
export function createIdentityModel(seed: number, failureRatio: number, resetRatio: number): IdentityModel {
  const random = createRandom(seed);
  /** How the first call of a nonce ended: only a 400 may be followed by a second. */
  const ended = new Map<number, number>();
  const model: IdentityModel = {
    script: { request: (seen) => serve(seen) },
    calls: 0,
    items: 0,
    failures: 0,
    resets: 0,
    foreign: [],
    repeated: [],
  };
  const serve = (seen: Seen): void => {
    const { socket } = seen.link;
    if (seen.method === 'GET') {
      const tensor = [{ name: 'x', datatype: 'INT64', shape: [-1, 2] }];
      const isMetadata = /^\/v2\/models\/[ab]$/.test(seen.target);
      socket.write(
        isMetadata ? toWire(JSON.stringify({ inputs: tensor, outputs: tensor })) : toWire('{}', '404 Not Found'),
      );
      return;
    }
    const rows = readRows(seen);
    model.calls += 1;
    model.items += rows.length;
    const credentials = valuesOf(seen.headers, 'authorization').join();
    for (const [, user] of rows)
      if (credentials !== `user ${user}`) model.foreign.push(`item of user ${user} under "${credentials}"`);
    const draw = random.next();
    const status = draw < resetRatio ? 0 : draw < resetRatio + failureRatio ? pick(random, [500, 503, 400, 422]) : 200;
    for (const [nonce] of rows) {
      const before = ended.get(nonce);
      if (before !== undefined && before !== 400 && before !== 422) model.repeated.push(`${nonce} after ${before}`);
      ended.set(nonce, rows.length > 1 ? status : -1);
    }
    const answer = (): void => {
      if (status === 0) {
        model.resets += 1;
        return cut(seen, rows, random);
      }
      if (status !== 200) model.failures += 1;
      // An error of a lone request is its own; of a joined one it says nothing about any.
      const body = status === 200 ? toAnswer(seen, rows) : `{"error":"as asked"}`;
      socket.write(toWire(body, `${status} X`, ['content-type: application/json']));
    };
    setTimeout(answer, random.int(4));
  };
  return model;
}

export async function runIdentity(plan: IdentityPlan): Promise<IdentityTally> {
  const tally: IdentityTally = { sent: 0, own: 0, failed: 0, cancelled: 0, cut: 0, mismatched: [], lost: [] };
  let nonce = 1;
  const caller = async (index: number): Promise<void> => {
    const random = createRandom(plan.seed).fork(`caller ${index}`);
    let client = await connectWire(plan.port);
    while (nonce <= plan.requests) {
      const mine = nonce++;
      const user = random.int(USERS);
      if (client.isClosed) client = await connectWire(plan.port);
      tally.sent += 1;
      client.write(toQuestion(mine, user, random));
      if (random.next() < plan.cancelRatio) {
        await sleep(random.int(6));
        client.destroy();
        tally.cancelled += 1;
        client = await connectWire(plan.port);
        continue;
      }
      client = await judge(plan.port, client, mine, user, tally);
    }
    client.destroy();
  };
  await Promise.all(Array.from({ length: plan.callers }, (_, index) => caller(index)));
  return tally;
}

async function judge(
  port: number,
  client: WireClient,
  mine: number,
  user: number,
  tally: IdentityTally,
): Promise<WireClient> {
  const got = await client.next(LOST_MS).catch(() => null);
  if (client.fault !== null) {
    tally.mismatched.push(`${mine}: ${client.fault}`);
    client.destroy();
    return connectWire(port);
  }
  if (got === null) {
    // The model server broke off in the middle of an answer that was being passed on: its caller sees it broken off.
    if (client.isCut) tally.cut += 1;
    else tally.lost.push(`${mine}: ${client.isClosed ? 'closed' : 'silence'}`);
    client.destroy();
    return connectWire(port);
  }
  if (statusOf(got) >= 500 || statusOf(got) === 400 || statusOf(got) === 422) tally.failed += 1;
  else if (isOwn(got, mine, user)) tally.own += 1;
  else tally.mismatched.push(`${mine}: ${got.start} ${got.body.toString().slice(0, 200)}`);
  return client;
}

/** Requests that the agent says it has ended, by its metrics page. */
export async function countEnded(metricsPort: number): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return page
    .split('\n')
    .filter((line) => line.startsWith('morphling_requests_total{'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function toQuestion(nonce: number, user: number, random: Random): Buffer {
  const model = pick(random, MODELS);
  const headers = [`authorization: user ${user}`, 'content-type: application/json'];
  // Some in more of a hurry than the model server can be.
  if (random.int(20) === 0) headers.push(`x-request-timeout-ms: ${1 + random.int(8)}`);
  if (random.int(2) === 0) {
    return toRequest('POST', `/v1/models/${model}:predict`, `{"instances":[[${nonce},${user}]]}`, headers);
  }
  const input = `{"name":"x","datatype":"INT64","shape":[1,2],"data":[${nonce},${user}]}`;
  return toRequest('POST', `/v2/models/${model}/infer`, `{"id":"id-${nonce}","inputs":[${input}]}`, headers);
}

function isOwn(answer: WireMessage, nonce: number, user: number): boolean {
  const { predictions, id, outputs } = JSON.parse(answer.body.toString()) as {
    predictions?: unknown;
    id?: string;
    outputs?: { shape: unknown; data: unknown }[];
  };
  if (predictions !== undefined) return JSON.stringify(predictions) === `[[${nonce},${user}]]`;
  return id === `id-${nonce}` && JSON.stringify(outputs?.[0]?.data) === `[${nonce},${user}]`;
}

/** [nonce, user] of every item of a call. */
function readRows(seen: Seen): [number, number][] {
  const { instances, inputs } = JSON.parse(seen.body.toString()) as {
    instances?: [number, number][];
    inputs?: { data: number[] }[];
  };
  if (instances !== undefined) return instances;
  const flat = inputs?.[0]?.data ?? [];
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);
}

function toAnswer(seen: Seen, rows: readonly [number, number][]): string {
  if (seen.target.startsWith('/v1/')) return JSON.stringify({ predictions: rows });
  const { id } = JSON.parse(seen.body.toString()) as { id?: string };
  const output = { name: 'x', datatype: 'INT64', shape: [rows.length, 2], data: rows.flat() };
  return JSON.stringify({ model_name: 'x', ...(id === undefined ? {} : { id }), outputs: [output] });
}

/** Before a byte, in the middle of a good answer, or in the middle of what is not one. */
function cut(seen: Seen, rows: readonly [number, number][], random: Random): void {
  const { socket } = seen.link;
  const whole = toWire(toAnswer(seen, rows));
  const kind = random.int(4);
  if (kind === 0) socket.resetAndDestroy();
  else if (kind === 1) socket.end();
  else
    socket.write(whole.subarray(0, 10 + random.int(whole.length - 10)), () =>
      kind === 2 ? socket.resetAndDestroy() : socket.end(),
    );
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.int(from.length)]!;
}
