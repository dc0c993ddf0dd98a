// A reader of endings that cannot harm the request path.
import type { CompletionSink } from '../../src/core/completion.ts';
import { toMessage } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';

/** What the sink throws is logged, and the request path goes on. */
export function toGuardedSink(sink: CompletionSink, log: Logger): CompletionSink {
  const guard = (error: unknown): void => log.error('a reader of completions failed', { error: toMessage(error) });
  return {
    arrived(model, items, requestBytes, atMs) {
      try {
        sink.arrived(model, items, requestBytes, atMs);
      } catch (error) {
        guard(error);
      }
    },
    batchStarted(model, atMs) {
      try {
        sink.batchStarted?.(model, atMs);
      } catch (error) {
        guard(error);
      }
    },
    completed(completion) {
      try {
        sink.completed(completion);
      } catch (error) {
        guard(error);
      }
    },
    batchCompleted(batch) {
      try {
        sink.batchCompleted(batch);
      } catch (error) {
        guard(error);
      }
    },
  };
}
