import { expect, test } from 'vitest';
import { toErrorBody } from '../../src/wire/error-body.ts';
import { toMessage } from './echo.ts';

const message = 'the queue is "full"\n';

test('an error speaks the protocol of its caller', () => {
  const parsed = (protocol: 'v1' | 'v2' | 'openai', status?: number): unknown => {
    const { body, headers } = toMessage(toErrorBody(protocol, message, status));
    expect(headers['content-type']).toBe('application/json');
    return JSON.parse(body.toString());
  };
  expect(parsed('v1')).toEqual({ error: message });
  expect(parsed('v2')).toEqual({ error: message });
  expect(parsed('openai', 400)).toEqual({
    error: { message, type: 'invalid_request_error', param: null, code: 400 },
  });
  expect(parsed('openai', 503)).toMatchObject({ error: { type: 'overloaded_error' } });
  expect(parsed('openai')).toMatchObject({ error: { type: 'server_error' } });
});

test('a caller of an unknown protocol gets plain text', () => {
  const { body, headers } = toMessage(toErrorBody('other', 'no answer in time'));
  expect([body.toString(), headers['content-type']]).toEqual(['no answer in time\n', 'text/plain; charset=utf-8']);
});
