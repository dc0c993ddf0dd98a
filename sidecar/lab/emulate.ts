// A model server that is a model: real HTTP, V1 and V2, answers when the latency profile says so.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Address } from '../../src/core/agent-config.ts';
import { MorphlingError } from '../../src/core/errors.ts';
import { createRandom } from '../../src/core/random.ts';
import { EmulatedDevice, type DeviceTotals } from './emulate-device.ts';
import { formatMetrics, type DeviceState, type ModelTotals } from './emulate-metrics.ts';
import { DEVICE_PATH, writeNvidiaSmi } from './emulate-nvidia-smi.ts';
import { parseV1, parseV2, type EchoCall, type EchoRefusal } from './emulate-protocol.ts';
import { DEFAULT_INTERFERENCE } from './engine.ts';
import { createCurve, type Profile } from './profiles.ts';

/** What turning the switch costs: nothing, or so many ms in which nothing advances. */
export type SwitchCost = { readonly kind: 'live' } | { readonly kind: 'reload'; readonly stallMs: number };

export interface EmulatorOptions {
  readonly profile: Profile;
  /** What the engine becomes when its switch is on; absent: it has no switch. */
  readonly alternative?: { readonly profile: Profile; readonly cost: SwitchCost; readonly switchName: string };
  readonly listen: Address;
  /** Names it serves; all share the one device. */
  readonly models: readonly string[];
  /** kappa of the engine model, 0..1. Default 0.7. */
  readonly interference?: number;
  /** Larger batches are refused with 400, as Triton does. Default: none is too large. */
  readonly maxBatchSize?: number;
  /** Seed of the service-time noise. Default 1. */
  readonly seed?: number;
  /** Where to write the stand-in nvidia-smi. */
  readonly nvidiaSmi?: string;
}

export interface Emulator {
  /** `http://127.0.0.1:41234` */
  readonly url: string;
  totals(): DeviceTotals;
  /** Ends all connections, removes the stand-in nvidia-smi. */
  close(): Promise<void>;
}

/** A body larger than this is refused: it is an echo, not a store. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
const MIB = 1024 * 1024;
/** Modelled, not measured: weights and workspace of a mid-sized vision model, and activations per item in flight. */
const WEIGHTS_BYTES = 1500 * MIB;
const ITEM_BYTES = 24 * MIB;

interface ModelState {
  successes: number;
  failures: number;
  items: number;
  executions: number;
  durationMs: number;
  pending: number;
}

/** Binds the port and serves until closed. Throws UNREACHABLE when the address is taken. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const curve = createCurve(options.profile.points);
  const alternative = options.alternative && {
    ...options.alternative,
    curve: createCurve(options.alternative.profile.points),
  };
  const random = createRandom(options.seed ?? 1).fork('noise');
  const device = new EmulatedDevice({
    curve,
    interference: options.interference ?? DEFAULT_INTERFERENCE,
    random,
  });
  const states = new Map<string, ModelState>(
    options.models.map((model) => [
      model,
      { successes: 0, failures: 0, items: 0, executions: 0, durationMs: 0, pending: 0 },
    ]),
  );
  let isSwitched = false;

  const limit = (model: string, call: EchoCall | EchoRefusal): EchoCall | EchoRefusal =>
    'refusal' in call || options.maxBatchSize === undefined || call.items <= options.maxBatchSize
      ? call
      : { refusal: `inference request batch-size must be <= ${options.maxBatchSize} for '${model}'` };

  const infer = (model: string, state: ModelState, asked: EchoCall | EchoRefusal, response: ServerResponse): void => {
    const call = limit(model, asked);
    if ('refusal' in call) {
      state.failures++;
      sendJson(response, 400, { error: call.refusal });
      return;
    }
    const { items } = call;
    state.pending++;
    device.run(items, (batch) => {
      state.pending--;
      state.successes++;
      state.executions++;
      state.items += items;
      state.durationMs += batch.modelledMs + batch.lateMs;
      const { chunks, headers } = call.answer();
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      response.writeHead(200, { ...headers, 'content-length': length });
      for (const chunk of chunks) response.write(chunk);
      response.end();
    });
  };

  const toDeviceState = (): DeviceState => ({
    uuid: 'GPU-e0000000-0000-4000-8000-000000000001',
    name: `Emulated ${options.profile.gpu}`,
    utilizationRatio: device.utilizationRatio(),
    memoryUsedBytes: Math.min(toMemoryBytes(options.profile.gpu), WEIGHTS_BYTES + ITEM_BYTES * device.runningItems),
    memoryTotalBytes: toMemoryBytes(options.profile.gpu),
  });

  const turn = (isOn: boolean): void => {
    if (alternative === undefined || isOn === isSwitched) return;
    isSwitched = isOn;
    const stallMs = alternative.cost.kind === 'reload' ? alternative.cost.stallMs : 0;
    device.switchCurve(isOn ? alternative.curve : curve, stallMs);
  };

  const answerRead = (path: string, response: ServerResponse): void => {
    const model = /^\/v[12]\/models\/([^/]+)/.exec(path)?.[1];
    if (model !== undefined && !states.has(decodeURIComponent(model))) sendUnknown(response, model);
    else if (path === '/v2')
      sendJson(response, 200, { name: 'morphling-emulator', version: '1', extensions: ['binary_tensor_data'] });
    else if (path === '/v2/health/live' || path === '/v2/health/ready' || path === '/') sendJson(response, 200, {});
    else if (path === '/v1/models') sendJson(response, 200, { models: [...states.keys()] });
    else if (/^\/v2\/models\/[^/]+(\/versions\/[^/]+)?\/ready$/.test(path)) sendJson(response, 200, {});
    else if (/^\/v2\/models\/[^/]+(\/versions\/[^/]+)?$/.test(path) && model !== undefined)
      sendJson(response, 200, toMetadata(decodeURIComponent(model)));
    else if (/^\/v1\/models\/[^/]+$/.test(path)) sendJson(response, 200, { name: model, ready: 'True' });
    else if (path === DEVICE_PATH) sendJson(response, 200, toDeviceState());
    else if (path === '/emulator/switches')
      sendJson(
        response,
        200,
        alternative === undefined
          ? {}
          : {
              [alternative.switchName]: {
                on: isSwitched,
                cost: alternative.cost.kind,
                profileId: alternative.profile.id,
              },
            },
      );
    else if (path === '/metrics') {
      const totals = [...states].map(([name, state]) => toTotals(name, state));
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(formatMetrics(totals, toDeviceState(), device.totals()));
    } else sendJson(response, 404, { error: `no such path: ${path}` });
  };

  const answerWrite = (path: string, body: Buffer, request: IncomingMessage, response: ServerResponse): void => {
    const v1 = /^\/v1\/models\/([^/:]+):predict$/.exec(path)?.[1];
    const v2 = /^\/v2\/models\/([^/]+)(?:\/versions\/[^/]+)?\/infer$/.exec(path)?.[1];
    const model = v1 ?? v2;
    if (model !== undefined) {
      const name = decodeURIComponent(model);
      const state = states.get(name);
      if (state === undefined) return sendUnknown(response, name);
      const length = request.headers['inference-header-content-length'];
      const jsonBytes = typeof length === 'string' ? Number(length) : null;
      return infer(name, state, v1 === undefined ? parseV2(body, jsonBytes, name) : parseV1(body), response);
    }
    const isOn = alternative === undefined ? undefined : parseSwitch(path, alternative.switchName, body);
    if (isOn === undefined) return sendJson(response, 404, { error: `no such path: ${path}` });
    turn(isOn);
    sendJson(response, 200, { on: isSwitched });
  };

  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    // Its bodies are small and its callers local; a header timeout would only add noise to measurements.
    if (request.method === 'GET' || request.method === 'HEAD') {
      request.resume();
      answerRead(path, response);
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
    });
    request.on('end', () => {
      if (bytes > BODY_BYTES_MAX) sendJson(response, 413, { error: 'the body is larger than 64 MiB' });
      else answerWrite(path, Buffer.concat(chunks), request, response);
    });
  });
  server.keepAliveTimeout = 75_000;
  server.on('connection', (socket: Socket) => socket.setNoDelay(true));
  const url = await listen(server, options.listen);
  if (options.nvidiaSmi !== undefined) writeNvidiaSmi(options.nvidiaSmi, url);

  return {
    url,
    totals: () => device.totals(),
    async close() {
      device.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      if (options.nvidiaSmi !== undefined) rmSync(options.nvidiaSmi, { force: true });
    },
  };
}

async function listen(server: Server, address: Address): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new MorphlingError('UNREACHABLE', `cannot listen on ${address.host}:${address.port}: ${cause.message}`, {
          cause,
        }),
      ),
    );
    server.listen(address.port, address.host, () => resolve());
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new MorphlingError('INTERNAL', 'a TCP server without a port');
  const host = bound.address === '0.0.0.0' || bound.address === '::' ? '127.0.0.1' : bound.address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`;
}

/** The first dimension is -1 everywhere: this model may be batched. */
function toMetadata(model: string): object {
  return {
    name: model,
    versions: ['1'],
    platform: 'morphling_emulator',
    inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [-1, -1] }],
    outputs: [{ name: 'OUTPUT0', datatype: 'FP32', shape: [-1, -1] }],
  };
}

function toTotals(model: string, state: ModelState): ModelTotals {
  const { successes, failures, items, executions, pending } = state;
  return { model, successes, failures, items, executions, pending, durationUs: Math.round(1000 * state.durationMs) };
}

function parseSwitch(path: string, name: string, body: Buffer): boolean | undefined {
  if (path !== `/emulator/switches/${encodeURIComponent(name)}`) return undefined;
  const on = /"on"\s*:\s*(true|false)/.exec(body.toString('utf8'))?.[1];
  return on === undefined ? undefined : on === 'true';
}

/** `A100-80GB` says its size; the T4 has 15 GiB usable; anything else is taken for 16 GiB. */
function toMemoryBytes(gpu: string): number {
  const gigabytes = /-(\d+)GB$/.exec(gpu)?.[1];
  return (gigabytes === undefined ? 15 : Number(gigabytes)) * 1024 * MIB;
}

function sendUnknown(response: ServerResponse, model: string): void {
  sendJson(response, 404, { error: `Request for unknown model: '${model}' is not found` });
}

function sendJson(response: ServerResponse, status: number, document: unknown): void {
  const body = Buffer.from(JSON.stringify(document));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}
