import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseV1, parseV2, type EchoCall, type EchoRefusal } from '../../../sidecar/lab/emulate-protocol.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

function understood(call: EchoCall | EchoRefusal): EchoCall {
  if ('refusal' in call) throw new Error(call.refusal);
  return call;
}

function answerOf(call: EchoCall | EchoRefusal) {
  const { chunks, headers } = understood(call).answer();
  const length = headers['inference-header-content-length'];
  const whole = Buffer.concat(chunks);
  const head = length === undefined ? whole : whole.subarray(0, Number(length));
  return { document: JSON.parse(head.toString()), tail: whole.subarray(head.length), headers };
}

const input = (data: unknown, over: object = {}) => ({
  inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [2, 1], data, ...over }],
});

describe('the echoing model', () => {
  test('V1 gives every instance back in order', () => {
    const call = understood(parseV1(json({ instances: [[1], [2], { nonce: 'x' }] })));
    expect(call.items).toBe(3);
    expect(answerOf(call).document).toEqual({ predictions: [[1], [2], { nonce: 'x' }] });
  });

  test('V2 gives every input back as an output, nested data flattened, the id kept', () => {
    const call = parseV2(json({ id: '7', ...input([[1.5], [2.5]]) }), null, 'm');
    expect(understood(call).items).toBe(2);
    expect(answerOf(call).document).toEqual({
      model_name: 'm',
      id: '7',
      model_version: '1',
      outputs: [{ name: 'OUTPUT0', datatype: 'FP32', shape: [2, 1], data: [1.5, 2.5] }],
    });
  });

  test('binary in, binary out: the bytes come back untouched', () => {
    const head = json({
      parameters: { binary_data_output: true },
      ...input(undefined, { parameters: { binary_data_size: 8 } }),
    });
    const bytes = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]);
    const { document, tail, headers } = answerOf(parseV2(Buffer.concat([head, bytes]), head.length, 'm'));
    expect(tail).toEqual(bytes);
    expect(document.outputs[0].parameters).toEqual({ binary_data_size: 8 });
    expect(headers['content-type']).toBe('application/octet-stream');
  });

  test('only the outputs asked for come back, each in the form asked for', () => {
    const request = {
      ...input([1, 2]),
      outputs: [{ name: 'OUTPUT0', parameters: { binary_data: true } }],
    };
    const { tail } = answerOf(parseV2(json(request), null, 'm'));
    expect([tail.readFloatLE(0), tail.readFloatLE(4)]).toEqual([1, 2]);
    expect(parseV2(json({ ...input([1, 2]), outputs: [{ name: 'NOPE' }] }), null, 'm')).toHaveProperty('refusal');
  });

  test.each([
    ['BOOL', [true, false, true]],
    ['INT8', [-128, 0, 127]],
    ['UINT16', [0, 1, 65_535]],
    ['INT64', [-5, 0, 2 ** 40]],
    ['FP64', [0.1, -2.5, 1e300]],
    ['BYTES', ['', 'héllo', 'x'.repeat(300)]],
  ])('%s survives JSON -> bytes -> JSON', (datatype, data) => {
    const shape = [data.length];
    const asBytes = answerOf(
      parseV2(
        json({
          inputs: [{ name: 'a', datatype, shape, data }],
          parameters: { binary_data_output: true },
        }),
        null,
        'm',
      ),
    );
    const size = asBytes.tail.length;
    const head = json({ inputs: [{ name: 'a', datatype, shape, parameters: { binary_data_size: size } }] });
    const back = answerOf(parseV2(Buffer.concat([head, asBytes.tail]), head.length, 'm'));
    expect(back.document.outputs[0].data).toEqual(data);
  });

  test.each([
    ['not JSON', Buffer.from('{'), null],
    ['no inputs', json({}), null],
    ['too few values', json(input([1])), null],
    ['no values', json(input(undefined)), null],
    ['a shape with 0', json(input([], { shape: [0, 1] })), null],
    ['a header length beyond the body', json(input([1, 2])), 10_000],
    ['a header length that is no number', json(input([1, 2])), Number.NaN],
    ['bytes left over', Buffer.concat([json(input([1, 2])), Buffer.alloc(3)]), json(input([1, 2])).length],
    ['binary bytes that do not fit', json(input(undefined, { parameters: { binary_data_size: 8 } })), null],
    ['FP16 as JSON', json(input([1, 2], { datatype: 'FP16' })), null],
    [
      'inputs of different batch sizes',
      json({ inputs: [...input([1, 2]).inputs, { name: 'b', datatype: 'FP32', shape: [1], data: [1] }] }),
      null,
    ],
  ])('%s is refused with a sentence', (_name, body, jsonBytes) => {
    expect(parseV2(body, jsonBytes, 'm')).toHaveProperty('refusal');
  });

  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.option(fc.integer()), (bytes, jsonBytes) => {
        expect(parseV1(Buffer.from(bytes))).toHaveProperty('refusal');
        parseV2(Buffer.from(bytes), jsonBytes, 'm');
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        parseV1(json(value));
        parseV2(json(value), null, 'm');
        parseV2(json({ inputs: [value] }), null, 'm');
      }),
    );
  });
});
