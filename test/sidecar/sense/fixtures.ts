// Completions and batches with every field filled, for the tests of sense.
import type { BatchCompletion, Completion } from '../../../src/core/completion.ts';

export function completion(fields: Partial<Completion> = {}): Completion {
  return {
    model: 'm',
    protocol: 'v1',
    code: 200,
    outcome: 'ok',
    ending: 'success',
    arrivedMs: 0,
    endedMs: 10,
    queueMs: 2,
    upstreamMs: 8,
    firstByteMs: 10,
    items: 1,
    requestBytes: 100,
    responseBytes: 100,
    generation: 1,
    ...fields,
  };
}

export function batch(fields: Partial<BatchCompletion> = {}): BatchCompletion {
  return {
    model: 'm',
    reason: 'natural',
    ending: 'success',
    startedMs: 0,
    durationMs: 8,
    requests: 1,
    items: 1,
    inflight: 1,
    inflightAll: 1,
    generation: 1,
    ...fields,
  };
}
