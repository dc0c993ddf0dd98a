// The agent's own errors in the words of the caller's protocol, so that its client library can read them.
import type { Protocol } from '../core/completion.ts';
import type { Payload } from './codec.ts';

/** `status` only chooses the error type of the OpenAI form: below 500 the caller is to blame, 429 and 503 are load. */
export function toErrorBody(protocol: Protocol, message: string, status = 500): Payload {
  switch (protocol) {
    case 'v1':
    case 'v2':
      return toJson({ error: message });
    case 'openai':
      return toJson({ error: { message, type: toOpenaiType(status), param: null, code: status } });
    case 'other':
      return { chunks: [Buffer.from(`${message}\n`)], headers: { 'content-type': 'text/plain; charset=utf-8' } };
    default:
      return protocol satisfies never;
  }
}

function toOpenaiType(status: number): string {
  if (status === 429 || status === 503) return 'overloaded_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

function toJson(value: unknown): Payload {
  return { chunks: [Buffer.from(JSON.stringify(value))], headers: { 'content-type': 'application/json' } };
}
