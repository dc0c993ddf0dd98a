// One plain HTTP call, with everything of the answer that a proxy could have changed.
import { request, type Agent } from 'node:http';

export interface Asked {
  readonly method: string;
  readonly path: string;
  /** Flat name, value pairs. */
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
  /** Body in pieces, without a length. */
  readonly isChunked?: boolean;
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
  /** `headers` name the host themselves. */
  readonly setsHost?: boolean;
}

export interface Answered {
  readonly status: number;
  readonly statusText: string;
  /** End-to-end headers as `name: value`, sorted; framing is each hop's own. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

const OF_THE_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']);

/** Rejects when no whole answer comes. */
export function ask(
  port: number,
  { method, path, headers = [], body, isChunked, agent, signal, setsHost }: Asked,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: agent ?? false,
      setHost: false,
      headers: [
        ...(setsHost === true ? [] : ['Host', 'model']),
        ...headers,
        ...(body !== undefined && !isChunked ? ['Content-Length', String(Buffer.byteLength(body))] : []),
      ],
      ...(signal === undefined ? {} : { signal }),
    });
    call.on('error', reject);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (!response.complete) return reject(new Error('cut short'));
        const pairs: string[] = [];
        for (let i = 0; i < response.rawHeaders.length; i += 2) {
          const name = response.rawHeaders[i]?.toLowerCase() ?? '';
          if (!OF_THE_HOP.has(name)) pairs.push(`${name}: ${response.rawHeaders[i + 1]}`);
        }
        resolve({
          status: response.statusCode ?? 0,
          statusText: response.statusMessage ?? '',
          headers: pairs.sort(),
          body: Buffer.concat(chunks),
        });
      });
    });
    if (isChunked && body !== undefined) {
      const bytes = Buffer.from(body);
      call.write(bytes.subarray(0, 3));
      call.write(bytes.subarray(3));
      call.end();
    } else call.end(body);
  });
}
