// What does it cost to join 32 requests: spliced bytes against JSON.parse + merge + JSON.stringify? And how fast does the
// scanner read number arrays? Run: node test/bench/wire-merge.ts > result.json
// Each figure is the process's CPU time (user + system) per batch; the rivals take turns, so that noise hits both.
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { isRefusal, type Codec, type HeaderView, type ParsedRequest } from '../../src/wire/codec.ts';
import { JsonScanner } from '../../src/wire/json-scan.ts';
import { kserveV1 } from '../../src/wire/kserve-v1.ts';
import { oipV2Binary } from '../../src/wire/oip-v2-binary.ts';
import { oipV2 } from '../../src/wire/oip-v2.ts';
import { createRandom } from '../../src/core/random.ts';

const MEMBERS = 32;
const ROUNDS = 9;
const ROUND_MS = 120;

interface Request {
  readonly body: Buffer;
  readonly headers: HeaderView;
}

interface Case {
  readonly name: string;
  readonly bytes: number | undefined;
  readonly requests: readonly Request[];
  readonly codec: Codec;
  readonly rival: () => Buffer;
}

const random = createRandom(1);
const values = (count: number): number[] =>
  Array.from({ length: count }, () => Number((random.next() * 2 - 1).toFixed(5)));

const cases = [
  { size: '1 KB', count: 110 },
  { size: '150 KB', count: 16_600 },
].flatMap(({ size, count }): readonly Case[] => {
  const rows = Array.from({ length: MEMBERS }, () => values(count));
  const v1 = rows.map((row) => toRequest({ instances: [row] }));
  const v2 = rows.map((row, index) => toRequest(toV2(index, count, { data: row })));
  const binary = rows.map((row, index) => {
    const data = Buffer.from(new Float32Array(row).buffer);
    const json = Buffer.from(JSON.stringify(toV2(index, count, { parameters: { binary_data_size: data.length } })));
    const headers = { 'inference-header-content-length': String(json.length) };
    return { body: Buffer.concat([json, data]), headers };
  });
  return [
    { name: `V1 JSON, ${size}`, bytes: v1[0]?.body.length, requests: v1, codec: kserveV1, rival: () => mergeV1(v1) },
    { name: `V2 JSON, ${size}`, bytes: v2[0]?.body.length, requests: v2, codec: oipV2, rival: () => mergeV2(v2) },
    // the rival of the binary form is the same tensor as JSON: what a client gains by the extension
    {
      name: `V2 binary, ${size}`,
      bytes: binary[0]?.body.length,
      requests: binary,
      codec: oipV2Binary,
      rival: () => mergeV2(v2),
    },
  ];
});

const results = cases.map(({ name, bytes, requests, codec, rival }) => {
  check(codec, requests, rival);
  const parsed = parseAll(codec, requests);
  const [ours, join, theirs] = compare([() => codec.join(parseAll(codec, requests)), () => codec.join(parsed), rival]);
  assert(ours !== undefined && join !== undefined && theirs !== undefined);
  return {
    name,
    bytes,
    spliceMs: ours,
    ofWhichJoinMs: join,
    parseMergeStringifyMs: theirs,
    ratio: round(theirs.median / ours.median),
  };
});

const array = Buffer.from(JSON.stringify({ data: values(200_000) }));
const tokens = Buffer.from(JSON.stringify({ data: Array.from({ length: 200_000 }, () => random.int(50_000)) }));
const text = Buffer.from(JSON.stringify({ data: Buffer.from(values(100_000).join()).toString('base64') }));
const scans = Object.entries({ floats: array, 'token ids': tokens, 'one base64 string': text }).map(([name, body]) => {
  const [ours, theirs] = compare([() => scan(body), () => JSON.parse(body.toString())]);
  assert(ours !== undefined && theirs !== undefined);
  const toMbPerS = (ms: number): number => round(body.length / 1000 / ms);
  return { name, bytes: body.length, scannerMbPerS: toMbPerS(ours.median), jsonParseMbPerS: toMbPerS(theirs.median) };
});

const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, platform: process.platform };
process.stdout.write(
  `${JSON.stringify({ machine, members: MEMBERS, rounds: ROUNDS, unit: 'CPU ms per batch', results, scans }, null, 2)}\n`,
);

function toRequest(value: unknown): Request {
  return { body: Buffer.from(JSON.stringify(value)), headers: { 'content-type': 'application/json' } };
}

function toV2(index: number, count: number, rest: object): object {
  const input = { name: 'x', shape: [1, count], datatype: 'FP32', ...rest };
  return { id: `request-${index}`, inputs: [input], outputs: [{ name: 'y' }] };
}

function parseAll(codec: Codec, requests: readonly Request[]): ParsedRequest[] {
  return requests.map(({ body, headers }) => {
    const parsed = codec.parse(body, headers);
    assert(!isRefusal(parsed));
    return parsed;
  });
}

function mergeV1(requests: readonly Request[]): Buffer {
  const instances = requests.flatMap(({ body }) => JSON.parse(body.toString()).instances);
  return Buffer.from(JSON.stringify({ instances }));
}

function mergeV2(requests: readonly Request[]): Buffer {
  const [first, ...rest] = requests.map(({ body }) => JSON.parse(body.toString()));
  first.id = 'morphling';
  for (const other of rest) {
    first.inputs.forEach((input: { shape: number[]; data: number[] }, index: number) => {
      input.shape[0] += other.inputs[index].shape[0];
      for (const value of other.inputs[index].data) input.data.push(value);
    });
  }
  return Buffer.from(JSON.stringify(first));
}

function check(codec: Codec, requests: readonly Request[], rival: () => Buffer): void {
  const { chunks } = codec.join(parseAll(codec, requests));
  const joined = Buffer.concat(chunks);
  if (codec !== oipV2Binary) assert.deepEqual(JSON.parse(joined.toString()), JSON.parse(rival().toString()));
}

function scan(body: Buffer): void {
  const scanner = new JsonScanner(body, 'strict');
  scanner.object(() => scanner.measure() !== null);
  assert(scanner.finish());
}

interface Figure {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

function compare(rivals: readonly (() => unknown)[]): Figure[] {
  const figures: number[][] = rivals.map(() => []);
  for (let turn = -2; turn < ROUNDS; turn++) {
    for (const [index, run] of rivals.entries()) {
      const cpuMs = measure(run);
      if (turn >= 0) figures[index]?.push(cpuMs);
    }
  }
  return figures.map((list) => {
    list.sort((a, b) => a - b);
    const at = (position: number): number => round(list[position] ?? Number.NaN);
    return { median: at(list.length >> 1), least: at(0), most: at(list.length - 1) };
  });
}

function measure(run: () => unknown): number {
  const startMs = performance.now();
  const start = process.cpuUsage();
  let runs = 0;
  while (performance.now() - startMs < ROUND_MS) {
    run();
    runs++;
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / runs;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
