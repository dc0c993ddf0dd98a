// Windows and metrics read the same endings.
import type { BatchCompletion, Completion, CompletionSink } from '../../src/core/completion.ts';

/** Two readers of the same endings, without an array on the request path. */
export function toBoth(a: CompletionSink, b: CompletionSink): CompletionSink {
  return {
    arrived(model, items, requestBytes, atMs) {
      a.arrived(model, items, requestBytes, atMs);
      b.arrived(model, items, requestBytes, atMs);
    },
    batchStarted(model, atMs) {
      a.batchStarted?.(model, atMs);
      b.batchStarted?.(model, atMs);
    },
    completed(completion: Completion) {
      a.completed(completion);
      b.completed(completion);
    },
    batchCompleted(batch: BatchCompletion) {
      a.batchCompleted(batch);
      b.batchCompleted(batch);
    },
  };
}
