// A well-behaved model server in this process: echo in V1 and V2, Triton's extensions, OpenAI, events; and a few models
// that do not work item by item. Whatever it answers depends on the request alone.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface ModelServer {
  readonly port: number;
  readonly origin: string;
  /** Inference calls seen: model and number of items. */
  readonly calls: { readonly model: string; readonly items: number }[];
  /** How long an inference call takes, ms; and how many more of them are reset without an answer. */
  latencyMs: number;
  resets: number;
  close(): Promise<void>;
}

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: number[];
  readonly data: unknown[];
}

export async function startModelServer(port = 0): Promise<ModelServer> {
  const calls: { model: string; items: number }[] = [];
  const sockets = new Set<Socket>();
  const state = { latencyMs: 0, resets: 0 };

  const infer = (model: string, items: number, response: ServerResponse, answer: () => void): void => {
    calls.push({ model, items });
    if (state.resets > 0) {
      state.resets -= 1;
      response.socket?.resetAndDestroy();
      return;
    }
    if (state.latencyMs === 0) answer();
    else setTimeout(answer, state.latencyMs);
  };

  const server = createServer({ keepAliveTimeout: 5_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => serve(request, response, Buffer.concat(chunks)));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  const serve = (request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const { method, url = '/' } = request;
    response.sendDate = false;
    const v1 = /^\/v1\/models\/([^/:]+):predict$/.exec(url);
    if (method === 'POST' && v1) return serveV1(v1[1]!, response, body);
    const v2 = /^\/v2\/models\/([^/]+)(?:\/versions\/\d+)?\/infer$/.exec(url);
    if (method === 'POST' && v2) return serveV2(v2[1]!, request, response, body);
    const metadata = /^\/v2\/models\/([^/]+)(?:\/versions\/\d+)?$/.exec(url);
    if (method === 'GET' && metadata) {
      const first = metadata[1] === 'fixed' ? 1 : -1;
      return json(response, 200, {
        name: metadata[1],
        inputs: [{ name: 'x', datatype: 'FP32', shape: [first, 2] }],
        outputs: [{ name: 'x', datatype: 'FP32', shape: [first, 2] }],
      });
    }
    if (url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-method': String(method) });
      response.write('data: 1\n\n');
      setTimeout(() => response.end('data: 2\n\n'), 5);
      return;
    }
    if (url.startsWith('/v2/health/')) return void response.writeHead(200).end();
    if (url.startsWith('/status/')) return json(response, Number(url.slice(8)), { error: 'as asked' });
    // Everything else: an account of what came, so that any difference shows.
    json(response, 200, {
      method,
      url,
      host: request.headers.host,
      accept: request.headers.accept ?? null,
      type: request.headers['content-type'] ?? null,
      agent: request.headers['user-agent'] ?? null,
      bytes: body.length,
      text: body.toString('latin1'),
    });
  };

  const serveV1 = (model: string, response: ServerResponse, body: Buffer): void => {
    let instances: unknown[];
    try {
      ({ instances } = JSON.parse(body.toString()) as { instances: unknown[] });
      if (!Array.isArray(instances)) throw new Error('no instances');
    } catch (error) {
      return json(response, 400, { error: String(error) });
    }
    infer(model, instances.length, response, () => {
      if (model === 'sum') json(response, 200, { predictions: [instances.length] });
      else if (model === 'miscount') json(response, 200, { predictions: [...instances, null] });
      else if (instances.some((one) => one === 'bad')) json(response, 400, { error: 'bad instance' });
      else json(response, 200, { predictions: instances });
    });
  };

  const serveV2 = (model: string, request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const header = request.headers['inference-header-content-length'];
    const split = header === undefined ? body.length : Number(header);
    let asked: { id?: string; inputs: Tensor[] };
    try {
      asked = JSON.parse(body.subarray(0, split).toString()) as typeof asked;
    } catch (error) {
      return json(response, 400, { error: String(error) });
    }
    infer(model, asked.inputs[0]?.shape[0] ?? 0, response, () => {
      const id = asked.id === undefined ? {} : { id: asked.id };
      if (header === undefined) {
        json(response, 200, { model_name: model, model_version: '1', ...id, outputs: asked.inputs });
        return;
      }
      const head = Buffer.from(JSON.stringify({ model_name: model, model_version: '1', ...id, outputs: asked.inputs }));
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': head.length,
        'content-length': head.length + body.length - split,
      });
      response.end(Buffer.concat([head, body.subarray(split)]));
    });
  };

  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  return {
    port: bound,
    origin: `http://127.0.0.1:${bound}`,
    calls,
    get latencyMs() {
      return state.latencyMs;
    },
    set latencyMs(ms) {
      state.latencyMs = ms;
    },
    get resets() {
      return state.resets;
    },
    set resets(count) {
      state.resets = count;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function json(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
