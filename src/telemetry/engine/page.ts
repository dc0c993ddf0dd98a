// Fetches a metrics page: in bounded time, to a bounded size, or not at all.
import { Agent } from 'undici';
import { MorphlingError, toMessage } from '../../core/errors.ts';

export interface PageFetcher {
  /** The page's text. Throws MorphlingError UNREACHABLE, TIMED_OUT or BAD_RESPONSE; redirects are not followed. */
  fetch(url: string): Promise<string>;
  /** The same, as the bytes that came. */
  fetchBytes(url: string): Promise<Buffer>;
  /** Closes its connection and fails what is open. */
  close(): Promise<void>;
}

/** A page of Triton with hundreds of models is some hundred kB. */
const MOST_BYTES = 4 << 20;

/** One kept connection a page. `timeoutMs` spans connecting, headers and body together. */
export function createPageFetcher(timeoutMs = 2000, mostBytes: number = MOST_BYTES): PageFetcher {
  const agent = new Agent({ connections: 1, maxHeaderSize: 16_384, connect: { timeout: timeoutMs } });
  const abort = new AbortController();
  const fetcher: PageFetcher = {
    fetch: async (url) => (await fetcher.fetchBytes(url)).toString('utf8'),
    async fetchBytes(url) {
      const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(timeoutMs)]);
      try {
        const { origin, pathname, search } = new URL(url);
        const { statusCode, body } = await agent.request({
          origin,
          path: pathname + search,
          method: 'GET',
          headers: { accept: 'text/plain;version=0.0.4, */*;q=0.1' },
          signal,
        });
        // A body that errors after we stopped reading must not surface as an unhandled error.
        body.on('error', () => undefined);
        if (statusCode !== 200) {
          body.destroy();
          throw new MorphlingError('BAD_RESPONSE', `${url}: expected status 200, got ${statusCode}`);
        }
        const chunks: Buffer[] = [];
        let bytes = 0;
        for await (const chunk of body as AsyncIterable<Buffer>) {
          bytes += chunk.length;
          if (bytes > mostBytes) {
            body.destroy();
            throw new MorphlingError('BAD_RESPONSE', `${url}: expected a page of at most ${mostBytes} bytes, got more`);
          }
          chunks.push(chunk);
        }
        return Buffer.concat(chunks);
      } catch (error) {
        if (error instanceof MorphlingError) throw error;
        const isLate = signal.aborted && !abort.signal.aborted;
        throw new MorphlingError(
          isLate ? 'TIMED_OUT' : 'UNREACHABLE',
          isLate ? `${url}: no page within ${timeoutMs} ms` : `${url}: ${toMessage(error)}`,
          { cause: error },
        );
      }
    },
    async close() {
      abort.abort();
      await agent.destroy();
    },
  };
  return fetcher;
}
