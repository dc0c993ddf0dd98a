// A model server in this process that shows what reached it: every call with its headers and items, and how many at once.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SeenCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** V1 instances or rows of the first V2 input. */
  readonly items: number;
  /** Calls under way when it came, itself included. */
  readonly inflight: number;
  /** The caller broke the connection before it was answered. */
  isAborted: boolean;
}

export interface Upstream extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly calls: SeenCall[];
  /** How long an inference call takes, ms. */
  latencyMs: number;
  /** What readiness says. */
  isReady: boolean;
  /** Answers inference calls instead of the echo while it is set. */
  answer: ((call: SeenCall, response: ServerResponse) => void) | null;
  close(): Promise<void>;
}

/** Echoes V1 instances and V2 JSON inputs, text for text; says of every model that its first dimension is open. */
export async function startUpstream(port = 0): Promise<Upstream> {
  const sockets = new Set<Socket>();
  let inflight = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void serve(request, response, Buffer.concat(chunks).toString()));
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  const serve = async (request: IncomingMessage, response: ServerResponse, body: string): Promise<void> => {
    const path = request.url ?? '/';
    if (request.method === 'GET') {
      answerRead(path, upstream.isReady, response);
      return;
    }
    const [inner, items] = toItems(body);
    inflight += 1;
    const call: SeenCall = { path, headers: request.headers, body, items, inflight, isAborted: false };
    upstream.calls.push(call);
    response.on('close', () => {
      inflight -= 1;
      if (!response.writableFinished) call.isAborted = true;
    });
    if (upstream.latencyMs > 0) await sleep(upstream.latencyMs);
    if (response.destroyed) return;
    if (upstream.answer !== null) upstream.answer(call, response);
    else if (path.startsWith('/v1/')) sendJson(response, 200, `{"predictions":[${inner}]}`);
    else sendJson(response, 200, toV2Answer(body));
  };

  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  const upstream: Upstream = {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    calls: [],
    latencyMs: 0,
    isReady: true,
    answer: null,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    [Symbol.asyncDispose]: () => upstream.close(),
  };
  return upstream;
}

export function sendJson(response: ServerResponse, status: number, text: string, headers: object = {}): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

function answerRead(path: string, isReady: boolean, response: ServerResponse): void {
  if (path === '/v2/health/ready') sendJson(response, isReady ? 200 : 503, '{}');
  else if (/^\/v2\/models\/[^/]+$/.test(path)) {
    const tensors = [{ name: 'x', datatype: 'FP32', shape: [-1, -1] }];
    sendJson(response, 200, JSON.stringify({ name: 'any', inputs: tensors, outputs: tensors }));
  } else sendJson(response, 404, '{"error":"no such path"}');
}

/** The text between the brackets of V1 instances, so that no number goes through a double, and the number of items. */
function toItems(body: string): [inner: string, items: number] {
  const { instances, inputs } = JSON.parse(body) as { instances?: unknown[]; inputs?: { shape: number[] }[] };
  if (instances === undefined) return ['', inputs?.[0]?.shape[0] ?? 1];
  const start = body.indexOf('[', body.indexOf('"instances"'));
  let depth = 0;
  for (let at = start; at < body.length; at++) {
    if (body[at] === '[') depth += 1;
    if (body[at] === ']') depth -= 1;
    if (depth === 0) return [body.slice(start + 1, at), instances.length];
  }
  return ['', instances.length];
}

function toV2Answer(body: string): string {
  const { id, inputs } = JSON.parse(body) as { id?: string; inputs: unknown[] };
  return JSON.stringify({ model_name: 'any', ...(id === undefined ? {} : { id }), outputs: inputs });
}
