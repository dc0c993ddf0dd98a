import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openaiModel } from '../../src/wire/openai.ts';
import { text } from './arbitraries.ts';

describe('the model of an OpenAI body', () => {
  test.each([
    ['{"model":"llama","prompt":"x"}', 'llama'],
    ['{ "messages": [{"model":"inner"}] , "model" : "outer" }', 'outer'],
    ['{"prompt":"model","model":"a\\u00e9"}', 'aé'],
    ['{"prompt":"\\"model\\":\\"fake\\"","model":"real"}', 'real'],
    ['{"prompt":"\\\\","model":"real"}', 'real'],
    ['{"messages":[{"content":"never ends', null],
    ['{"model":7}', null],
    ['{"model":""}', null],
    ['{"model":"\\x"}', null],
    [`{"model":"${'m'.repeat(257)}"}`, null],
    [`{"prompt":"${'x'.repeat(2 * 1024 * 1024)}","model":"too far"}`, null],
    ['["model","x"]', null],
    ['', null],
  ])('%.40s is %s', (body, expected) => {
    expect(openaiModel(Buffer.from(body))).toBe(expected);
  });

  test('is what JSON.parse says, wherever it stands', () => {
    fc.assert(
      fc.property(fc.dictionary(text, fc.jsonValue({ maxDepth: 3 })), text, fc.boolean(), (others, model, isFirst) => {
        const { model: _, ...rest } = others;
        const body = Buffer.from(JSON.stringify(isFirst ? { model, ...rest } : { ...rest, model }));
        expect(openaiModel(body)).toBe(model === '' ? null : model);
      }),
    );
  });

  test('never throws on any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void openaiModel(Buffer.from(bytes))));
  });
});
