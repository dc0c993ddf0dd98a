// A model server driven by hand, byte by byte: it can send everything that a real one never should.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** One request as its bytes said it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Everything up to the blank line, as it came. */
  readonly head: string;
  /** Lower-cased names; the last of several wins, so tests that care look at `head`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly socket: Socket;
  /** Number of the connection, from 0. */
  readonly connection: number;
}

export interface RawUpstream {
  readonly port: number;
  readonly origin: string;
  readonly requests: SeenRequest[];
  /** Sockets open now. */
  readonly sockets: Set<Socket>;
  /** Bytes that were no whole request when their connection ended. */
  readonly torn: string[];
  close(): Promise<void>;
}

/** `answer` gets each whole request; what it writes goes out as it is. */
export async function startRawUpstream(answer: (request: SeenRequest) => void, atPort = 0): Promise<RawUpstream> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const torn: string[] = [];
  let connections = 0;
  const server: Server = createServer((socket) => {
    const connection = connections++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    let pending = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const taken = takeRequest(pending);
        if (taken === null) break;
        pending = pending.subarray(taken.bytes);
        const seen = { ...taken.request, socket, connection };
        requests.push(seen);
        answer(seen);
      }
    });
    socket.on('close', () => {
      sockets.delete(socket);
      if (pending.length > 0) torn.push(pending.toString('latin1'));
    });
  });
  await new Promise<void>((resolve) => server.listen(atPort, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    requests,
    sockets,
    torn,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A plain answer with a length. */
export function toAnswer(body: string | Buffer, status = '200 OK', headers: readonly string[] = []): Buffer {
  const bytes = Buffer.from(body);
  const head = [`HTTP/1.1 ${status}`, ...headers, `content-length: ${bytes.length}`, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

function takeRequest(bytes: Buffer): { bytes: number; request: Omit<SeenRequest, 'socket' | 'connection'> } | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const head = bytes.toString('latin1', 0, end);
  const [line = '', ...fields] = head.split('\r\n');
  const [method = '', path = ''] = line.split(' ');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  const start = end + 4;
  if (headers['transfer-encoding'] === 'chunked') {
    const chunks: Buffer[] = [];
    let at = start;
    for (;;) {
      const eol = bytes.indexOf('\r\n', at);
      if (eol === -1) return null;
      const size = Number.parseInt(bytes.toString('latin1', at, eol), 16);
      if (bytes.length < eol + 2 + size + 2) return null;
      chunks.push(bytes.subarray(eol + 2, eol + 2 + size));
      at = eol + 2 + size + 2;
      if (size === 0) return { bytes: at, request: { method, path, head, headers, body: Buffer.concat(chunks) } };
    }
  }
  const length = Number(headers['content-length'] ?? 0);
  if (bytes.length < start + length) return null;
  return {
    bytes: start + length,
    request: { method, path, head, headers, body: bytes.subarray(start, start + length) },
  };
}
