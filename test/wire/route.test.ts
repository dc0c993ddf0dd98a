import { describe, expect, test } from 'vitest';
import { matchRoute } from '../../src/wire/route.ts';

describe('paths that are known', () => {
  test.each([
    ['POST', '/v1/models/m:predict', 'v1', 'm', null, 'infer'],
    ['POST', '/v1/models/m:predict?trace=1', 'v1', 'm', null, 'infer'],
    ['POST', '/v1/models/a:b:predict', 'v1', 'a:b', null, 'infer'],
    ['POST', '/v1/models/my%20model%C3%A9:predict', 'v1', 'my modelé', null, 'infer'],
    // TensorFlow Serving
    ['POST', '/v1/models/m/versions/3:predict', 'v1', 'm', '3', 'infer'],
    ['POST', '/v1/models/m/labels/stable:predict', 'v1', 'm', 'stable', 'infer'],
    ['POST', '/v1/models/m:explain', 'v1', 'm', null, 'other'],
    ['POST', '/v1/models/m:classify', 'v1', 'm', null, 'other'],
    ['GET', '/v1/models/m:predict', 'v1', 'm', null, 'other'],
    ['GET', '/v1/models/m', 'v1', 'm', null, 'other'],
    ['GET', '/v1/models', 'v1', null, null, 'other'],
    ['POST', '/v2/models/m/infer', 'v2', 'm', null, 'infer'],
    ['POST', '/v2/models/m/versions/2/infer', 'v2', 'm', '2', 'infer'],
    ['POST', '/v2/models/m/generate', 'v2', 'm', null, 'stream'],
    ['POST', '/v2/models/m/versions/2/generate_stream', 'v2', 'm', '2', 'stream'],
    ['GET', '/v2/models/m/infer', 'v2', 'm', null, 'other'],
    ['GET', '/v2/models/m', 'v2', 'm', null, 'other'],
    ['GET', '/v2/models/m/versions/1/ready', 'v2', 'm', '1', 'other'],
    ['GET', '/v2/models/m/config', 'v2', 'm', null, 'other'],
    ['GET', '/v2/health/ready', 'v2', null, null, 'other'],
    ['POST', '/v2/repository/models/m/load', 'v2', null, null, 'other'],
    ['GET', '/v2', 'v2', null, null, 'other'],
    ['POST', '/v1/completions', 'openai', null, null, 'stream'],
    ['POST', '/v1/chat/completions', 'openai', null, null, 'stream'],
    ['POST', '/v1/embeddings', 'openai', null, null, 'stream'],
    ['POST', '/v1/rerank', 'openai', null, null, 'stream'],
    ['POST', '/openai/v1/chat/completions', 'openai', null, null, 'stream'],
    ['GET', '/openai/v1/models', 'openai', null, null, 'other'],
    ['POST', '/predictions/m', 'other', 'm', null, 'stream'],
    ['POST', '/predictions/m/1.0', 'other', 'm', '1.0', 'stream'],
    ['GET', '/ping', 'other', null, null, 'other'],
    ['GET', '/', 'other', null, null, 'other'],
  ])('%s %s', (method, path, protocol, model, version, verb) => {
    expect(matchRoute(method, path)).toEqual({ protocol, model, version, verb });
  });
});

describe('tricks never infer', () => {
  test.each([
    '//v1/models/m:predict',
    '/v1//models/m:predict',
    '/v1/models//m:predict',
    '/v1/models/m:predict/',
    '/v1/models/:predict',
    '/v1/models/m:Predict',
    '/V1/models/m:predict',
    '/v1/models/m%3Apredict',
    '/v1/models/m:predict%3F',
    '/v1/models/..:predict',
    '/v1/models/%2e%2e:predict',
    '/v1/models/.%2E:predict',
    '/v1/models/a%2Fb:predict',
    '/v1/models/a%5Cb:predict',
    '/v1/models/a%00b:predict',
    '/v1/models/a%0d%0ab:predict',
    '/v1/models/a%3Bb:predict',
    '/v1/models/a%:predict',
    '/v1/models/a%zz:predict',
    '/v1/models/%c0%af:predict',
    '/v1/models/a;b:predict',
    '/v1/models/m:predict;x',
    '/v1/models/a b:predict',
    '/v1/models/a\tb:predict',
    '/v1/models/m:predict#x',
    '/v1/models/a\\b:predict',
    '/v1/models/é:predict',
    '/v1/models/../models/m:predict',
    '/v1/models/%2e%2e/models/m:predict',
    '/x/../v1/models/m:predict',
    '/%76%31/models/m:predict',
    'http://host/v1/models/m:predict',
    'v1/models/m:predict',
    '*',
    '',
    '/v2/models/m/versions//infer',
    '/v2/models/m/versions/%2e%2e/infer',
    '/v2/models/versions/2/infer/',
    '/v2/models/m/infer%20',
    '/v2/models/m//infer',
    `/v1/models/${'m'.repeat(257)}:predict`,
    `/v2/models/${'m'.repeat(100_000)}/infer`,
    `/v2/models/m/versions/${'1'.repeat(257)}/infer`,
  ])('%s', (path) => {
    expect(matchRoute('POST', path).verb).toBe('other');
  });

  test('a name of 256 characters is still a name, however it is encoded', () => {
    expect(matchRoute('POST', `/v1/models/${'m'.repeat(256)}:predict`).verb).toBe('infer');
    expect(matchRoute('POST', `/v2/models/${'%6d'.repeat(256)}/infer`).model).toBe('m'.repeat(256));
  });
});
