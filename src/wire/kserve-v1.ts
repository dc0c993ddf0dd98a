// The V1 protocol (TensorFlow Serving, KServe): {"instances": [...], ...} -> {"predictions": [...], ...}.
// Keys beside `instances` belong to the batch's key and stay in the joined body; keys beside `predictions` go to every
// member. The text of instances and predictions is never rewritten.
import type { Codec, HeaderView, ParsedRequest, Payload, Refusal, SplitResult } from './codec.ts';
import { isIdentity, isJsonRequest } from './headers.ts';
import { JsonScanner, type Measure, type Span } from './json-scan.ts';
import { sliceElements, trim } from './json-slice.ts';
import { fillTemplate, toTemplateKey, type Hole } from './template.ts';

interface ParsedV1 extends ParsedRequest {
  /** The one hole: the inside of `instances`. Empty when the request may not be joined. */
  readonly holes: readonly Hole[];
}

const COMMA = Buffer.from(',');

export const kserveV1: Codec<ParsedV1> = {
  name: 'kserve-v1',
  protocol: 'v1',
  accepts: isJsonRequest,

  parse(body: Buffer): ParsedV1 | Refusal {
    const scan = new JsonScanner(body, 'strict');
    let instances: Instances | null = null;
    let columns: Measure | null = null;
    scan.object((key) => {
      if (key === 'instances') return (instances = readInstances(scan)) !== null;
      if (key === 'inputs') return (columns = scan.measure()) !== null;
      return scan.skip();
    });
    if (!scan.finish()) return { refusal: `the body is not a V1 request: ${scan.fault}` };
    return toParsed(body, instances, columns);
  },

  join(members: readonly ParsedV1[]): Payload {
    const [first] = members;
    const headers = { 'content-type': 'application/json' };
    if (first === undefined || members.length === 1) return { chunks: members.map((member) => member.body), headers };
    const chunks = fillTemplate(first.body, first.body.length, first.holes, (_, index, chunks) => {
      for (const [place, member] of members.entries()) {
        const { start, end } = trim(member.body, member.holes[index]!);
        if (place > 0) chunks.push(COMMA);
        chunks.push(member.body.subarray(start, end));
      }
    });
    return { chunks, headers };
  },

  split(body: Buffer, headers: HeaderView, members: readonly ParsedV1[]): SplitResult {
    if (!isIdentity(headers)) return { kind: 'malformed', reason: 'the answer is compressed, and was asked not to be' };
    const scan = new JsonScanner(body, 'lenient');
    let found: Measure | null = null;
    scan.object((key) => (key === 'predictions' ? (found = scan.measure()) !== null : scan.skip()));
    if (!scan.finish()) return { kind: 'malformed', reason: `the answer is not a V1 answer: ${scan.fault}` };

    const predictions = found as Measure | null;
    const expected = members.reduce((sum, member) => sum + member.items, 0);
    const got = predictions?.dims[0] ?? 0;
    if (predictions === null || got !== expected) return { kind: 'count', expected, got };
    const slices = sliceElements(
      body,
      predictions,
      members.map((member) => member.items),
    );
    const before = body.subarray(0, predictions.start + 1);
    const after = body.subarray(predictions.end - 1);
    const answerHeaders = { 'content-type': headers['content-type'] ?? 'application/json' };
    return {
      kind: 'split',
      payloads: slices.map(({ start, end }) => ({
        chunks: [before, body.subarray(start, end), after],
        headers: answerHeaders,
      })),
    };
  },
};

interface Instances extends Span {
  readonly count: number;
  /** What all instances have in common; `mixed` when a request's own instances differ. */
  readonly signature: string;
}

/**
 * The signature keeps unlike instances out of one batch, where a server would answer them all with an error: for arrays
 * the inner dimensions and the kinds of leaves, for objects that of each key.
 */
function readInstances(scan: JsonScanner): Instances | null {
  if (scan.peekKind() !== 'array') {
    scan.fail('"instances" must be an array');
    return null;
  }
  if (scan.peekElementKind() !== 'object') {
    const measured = scan.measure();
    return measured && { ...measured, count: measured.dims[0] ?? 0, signature: toSignature(measured, 1) };
  }
  const start = scan.at;
  let count = 0;
  let signature: string | null = null;
  const isRead = scan.array((index) => {
    const own = readInstance(scan);
    count = index + 1;
    signature = signature === null || signature === own ? own : 'mixed';
    return own !== null;
  });
  return isRead ? { start, end: scan.at, count, signature: signature ?? '' } : null;
}

function readInstance(scan: JsonScanner): string | null {
  if (scan.peekKind() !== 'object') {
    const measured = scan.measure();
    return measured && toSignature(measured, 0);
  }
  let signature = '';
  const isRead = scan.object((key) => {
    const measured = scan.measure();
    if (measured !== null) signature += `${JSON.stringify(key)}:${toSignature(measured, 0)},`;
    return measured !== null;
  });
  return isRead ? `{${signature}}` : null;
}

function toSignature(measured: Measure, fromLevel: number): string {
  return `${measured.isRegular ? measured.dims.slice(fromLevel).join('x') : 'ragged'}/${measured.kinds}`;
}

function toParsed(body: Buffer, instances: Instances | null, columns: Measure | null): ParsedV1 | Refusal {
  if (instances !== null && columns !== null)
    return { refusal: 'the body is not a V1 request: it has both "instances" and "inputs"' };
  const rest = { body, timeoutMs: null };
  if (instances === null) {
    const unbatchable = columns === null ? 'no-instances' : 'columnar';
    const items = Math.max(1, columns?.dims[0] ?? 1);
    return { ...rest, items, key: 'v1', unbatchable, holes: [] };
  }
  if (instances.count === 0) return { refusal: '"instances" is empty: there is nothing to predict' };
  const holes: Hole[] = [{ kind: 'nested', tensor: 0, start: instances.start + 1, end: instances.end - 1 }];
  const key = toTemplateKey('v1', body, body.length, holes, instances.signature);
  return { ...rest, items: instances.count, key, unbatchable: null, holes };
}
