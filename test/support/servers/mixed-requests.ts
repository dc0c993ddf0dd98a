// A mix of requests to the models of the catalogue, each with what its answer must be, whoever it travelled with.
import type { Random } from '../../../src/core/random.ts';
import { inferV2, inferV2Binary, predictV1, tensor, type Answer, type InferAnswer, type Tensor } from './infer.ts';
import { toMagikaRow } from './magika-row.ts';

export type AskProtocol = 'v1' | 'v2' | 'v2-binary';

export interface MixedRequest {
  readonly protocol: AskProtocol;
  readonly model: MixedModel;
  /** Unique; sent as the V2 id. */
  readonly id: string;
  /** Null: none is sent, and one that the server makes up is not compared. */
  readonly sentId: string | null;
  readonly inputs: readonly Tensor[];
  readonly instances: readonly unknown[];
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer without what may differ from call to call: what is left must be equal. */
export interface ComparedAnswer {
  readonly status: number;
  readonly contentType: string | null;
  /** The JSON text where nothing in it may differ; else empty. */
  readonly text: string;
  readonly id: unknown;
  readonly rest: unknown;
  readonly outputs: unknown;
}

type MixedModel = 'echo' | 'pair' | 'mlp' | 'picky' | 'magika';

/** Of a hundred. magika costs ten of the others each. */
const SHARES: readonly (readonly [MixedModel, number])[] = [
  ['echo', 35],
  ['pair', 25],
  ['mlp', 20],
  ['picky', 18],
  ['magika', 2],
];
const SNIPPETS = ['import os\nprint(os.getcwd())\n', '{"a": [1, 2, 3]}', '# Title\n\nText.\n', '#!/bin/sh\nls -la\n'];
/** Where a call is split for one bad row, that many of its fellows are sent twice. */
const BAD_SHARE = 1 / 24;

/** The next request of the mix. Values are exact in float32, so that JSON and binary give the same numbers. */
export function nextRequest(random: Random, protocols: readonly AskProtocol[], index: number): MixedRequest {
  const protocol = protocols[random.int(protocols.length)] ?? 'v2';
  const model = pickModel(random);
  const rows = random.next() < 0.8 ? 1 : 2 + random.int(3);
  const { inputs, instances } = toInputs(random, model, rows, index);
  const id = `r${index}-${random.int(1e9)}`;
  const isNamed = protocol !== 'v1' && random.next() < 0.9;
  const headers = { 'accept-encoding': 'identity', 'x-caller': id };
  return { protocol, model, id, sentId: isNamed ? id : null, inputs, instances, headers };
}

export async function askMixed(url: string, request: MixedRequest): Promise<Answer | InferAnswer> {
  const { protocol, model, headers, inputs, instances, sentId } = request;
  if (protocol === 'v1') return predictV1(url, model, instances, { headers });
  const members = sentId === null ? {} : { id: sentId };
  return (protocol === 'v2' ? inferV2 : inferV2Binary)(url, model, inputs, { headers, members });
}

/** Rows of the call that a request rode in; null where the model does not say. */
export function toCompany(request: MixedRequest, answer: Answer | InferAnswer): number | null {
  if (request.model !== 'mlp' && request.model !== 'pair') return null;
  if ('outputs' in answer) return Number(answer.outputs.find(({ name }) => name === 'rows')?.data[0] ?? 1);
  const [first] = (answer.body as { predictions?: { rows: number[] }[] }).predictions ?? [];
  return first?.rows[0] ?? 1;
}

/** What is compared of an answer. `rows` tells the size of the call and is left out. */
export function toCompared(request: MixedRequest, answer: Answer | InferAnswer): ComparedAnswer {
  const { id, outputs: _outputs, predictions, ...rest } = answer.body as Record<string, unknown>;
  // The text is compared too where nothing in it may differ: it shows how numbers and spaces were written.
  const isExact =
    !isNetwork(request) && request.model !== 'pair' && (request.protocol === 'v1' || request.sentId !== null);
  const outputs =
    'outputs' in answer
      ? answer.outputs.filter(({ name }) => name !== 'rows')
      : (predictions as unknown[] | undefined)?.map((one) =>
          typeof one === 'object' && one !== null && 'rows' in one ? { ...one, rows: null } : one,
        );
  return {
    status: answer.status,
    // A binary answer without a type, as KServe gives it, is what its other header says it is.
    contentType: answer.headers.get('content-type') ?? 'application/octet-stream',
    text: isExact ? answer.text : '',
    id: request.sentId === null ? null : id,
    rest,
    outputs,
  };
}

/** Where two answers first differ and how; null: they are equal, floats of a network to within their rounding. */
export function findDifference(request: MixedRequest, got: ComparedAnswer, wanted: ComparedAnswer): string | null {
  return findPath(got, wanted, isNetwork(request) ? TOLERANCE[request.model] : 0, '');
}

/**
 * A sum of 1024 float32 products differs by some 1e-6 with the order in which a batch's kernel adds it up; four layers
 * and a softmax keep it there. magika is quantised: asked directly, the same row scores up to 5e-4 apart alone and in a
 * batch. Another caller's row differs by 0.1 and more in both.
 */
const TOLERANCE = { mlp: 1e-4, magika: 2e-3 } as const;

function isNetwork(request: MixedRequest): request is MixedRequest & { readonly model: keyof typeof TOLERANCE } {
  return request.model in TOLERANCE;
}

function findPath(got: unknown, wanted: unknown, tolerance: number, path: string): string | null {
  if (Object.is(got, wanted)) return null;
  if (typeof got === 'number' && typeof wanted === 'number' && Math.abs(got - wanted) <= tolerance) return null;
  if (typeof got !== 'object' || typeof wanted !== 'object' || got === null || wanted === null)
    return `${path}: ${String(got).slice(0, 300)} instead of ${String(wanted).slice(0, 300)}`;
  for (const key of new Set([...Object.keys(got), ...Object.keys(wanted)])) {
    const found = findPath(got[key as never], wanted[key as never], tolerance, `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

function pickModel(random: Random): MixedModel {
  let at = random.int(100);
  for (const [model, share] of SHARES) {
    if (at < share) return model;
    at -= share;
  }
  return 'echo';
}

function toInputs(
  random: Random,
  model: MixedModel,
  rows: number,
  index: number,
): { inputs: Tensor[]; instances: unknown[] } {
  const make = <T>(row: (at: number) => T): T[] => Array.from({ length: rows }, (_, at) => row(at));
  const single = (name: string, datatype: string, values: number[][]): { inputs: Tensor[]; instances: unknown[] } => ({
    inputs: [tensor(name, datatype, values)],
    instances: values,
  });
  switch (model) {
    case 'pair': {
      const texts = make((at) => `"${index}"/${at} grün ☃ ${'x'.repeat(random.int(20))}`);
      // Beyond 2^53, where a number that went through a double would have changed.
      const counts = make((at) => 9_007_199_254_740_993n + BigInt(index * 8 + at));
      return {
        inputs: [
          tensor(
            'text',
            'BYTES',
            texts.map((text) => [text]),
          ),
          tensor(
            'count',
            'INT64',
            counts.map((count) => [count]),
          ),
        ],
        instances: texts.map((text, at) => ({ text, count: index * 8 + at })),
      };
    }
    case 'mlp':
      return single(
        'x',
        'FP32',
        make(() => Array.from({ length: 1024 }, () => random.int(64) / 32 - 1)),
      );
    case 'magika':
      return single(
        'bytes',
        'INT32',
        make(() => toMagikaRow(SNIPPETS[random.int(SNIPPETS.length)] ?? '')),
      );
    case 'picky':
      return single(
        'x',
        'FP32',
        make(() => [random.next() < BAD_SHARE ? -1 : index, 0.5, 0.25, random.int(100)]),
      );
    case 'echo': {
      // Two widths, which must not share a call.
      const width = 2 + random.int(2);
      return single(
        'x',
        'FP32',
        make((at) => [index, at, random.int(1000) / 8].slice(0, width)),
      );
    }
  }
}
