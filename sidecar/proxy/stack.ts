// The request path, layer by layer, in the order in which they run. Each line says why it stands where it stands:
//
//   1. refuse    framing first: nothing below may trust where a request ends            framing.ts
//   2. classify  the model and the headers that matter; before the body, so that a
//                stream is never collected                                               classify.ts, batchability.ts
//   3. collect   the whole body before the upstream is touched: a caller that breaks
//                off has then cost the model nothing                                     body.ts
//                While the model server is asked whether a model batches, the first
//                requests of it wait a moment                                            intake.ts, hold.ts
//   4. admit     before queueing: work that would end too late is refused while its
//                caller can still go elsewhere                                           lane.ts
//   5. settings  read once per batch, so that a batch is served under one version        lane.ts
//   6. batch     above the limit: waiting for a place is what fills batches              batch.ts
//   7. limit     below the batch: it counts upstream calls, which is what an engine feels   limit.ts
//   8. forward   one call on one connection                                              forward.ts
//   9. split     each caller gets its own part                                           joined.ts
//  10. answer    the one place that settles: every path above ends here, once            answer.ts, respond.ts
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { monotonicClock, type Clock } from '../../src/core/clock.ts';
import type { AgentConfig } from '../../src/core/agent-config.ts';
import type { CompletionSink } from '../../src/core/completion.ts';
import type { Logger } from '../../src/core/log.ts';
import { createRandom } from '../../src/core/random.ts';
import type { SettingsVersion } from '../../src/core/settings.ts';
import { matchRoute } from '../../src/wire/route.ts';
import { callAlone } from './alone.ts';
import { createBatchability, type Batchability } from './batchability.ts';
import { collectBody, toBodyStream, type BodyBudget } from './body.ts';
import { readUrgency, toKeyNames } from './classify.ts';
import { Driver } from './driver.ts';
import { Exchange, type Mood } from './exchange.ts';
import { createUpstream, type Upstream } from './forward.ts';
import { checkFraming } from './framing.ts';
import { toGuardedSink } from './guarded-sink.ts';
import { readRequestHeaders } from './headers.ts';
import { Intake } from './intake.ts';
import { createLane } from './lane.ts';
import { EngineGate } from './limit.ts';
import { toLoad, toStatus, type LaneLoad, type LaneStatus } from './load.ts';
import { Models, OTHER_MODEL } from './models.ts';
import { isAtLeast, type Pressure } from './pressure.ts';
import { fetchJson } from './probe.ts';
import { respondFault, respondPage, type Fault } from './respond.ts';
import type { Lane } from './waiting.ts';

/** What the proxy is told by the rooms around it. Read per request or per batch, so a change holds at once. */
export interface ProxyOptions {
  readonly config: AgentConfig;
  readonly sink: CompletionSink;
  readonly log: Logger;
  /** The settings of a model, read once per batch; `model` may be `other`. */
  readonly settings: (model: string) => SettingsVersion;
  /** The latency target of a model, ms; null while none is known. */
  readonly slaMs: (model: string) => number | null;
  /** A model turned out never to be batched; told once per lane. Its start setting may be the wrong one. */
  readonly onUnbatched?: (model: string) => void;
  /** The page to answer `GET /metrics` with; null: there is none, the request goes on. Absent: it always goes on. */
  readonly enginePage?: () => Promise<Buffer | null>;
  readonly clock?: Clock;
  /** Seed of the jitter in `Retry-After`. */
  readonly seed?: number;
  /** The model server; by default the pool of `config.upstream`. */
  readonly upstream?: Upstream;
}

export interface Proxy {
  /** Serves one request; never throws, settles it exactly once. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Pass-through from the next request on; what waits leaves at once. Keeps the framing law. */
  setBypassed(isBypassed: boolean): void;
  /** How near memory is to its end, told whenever that changes. */
  setPressure(pressure: Pressure): void;
  /** Settings were changed: what waits is looked at again. */
  settingsChanged(): void;
  /** Batches no longer wait, answers close their connections. Requests are still taken. */
  drain(): void;
  /** Arrivals are refused from now on. */
  close(): void;
  /** Ends everything, calls under way included. */
  stop(): Promise<void>;
  /** Requests taken and not yet ended. */
  readonly openRequests: number;
  readonly isBypassed: boolean;
  lanes(): LaneStatus[];
  /** Only the models whose requests can be batched. */
  batchedLanes(): LaneStatus[];
  /** How full one model's lane is now; zeros for a model that has none. */
  load(model: string): LaneLoad;
  /** Whether and why a model is batched. */
  readonly batchability: Batchability;
}

const RELOAD = /^\/v2\/repository\/models\/([^/?]+)\/(?:un)?load(?:\?|$)/;
/** Bodies of all requests in memory: room for many ordinary and some of the largest. */
const BUDGET_BYTES_MIN = 256 << 20;
/** What bodies may always take, as a part of their budget. */
const TIGHT_DIVISOR = 16;
const NO_MEMORY: Fault = { kind: 'shed', reason: 'memory', retryAfterMs: 1000 };
/** A joined answer may be larger than any one request. */
const ANSWER_LIMIT_FACTOR = 8;

export function createProxy(options: ProxyOptions): Proxy {
  const { config, log, clock = monotonicClock, seed = 1 } = options;
  const sink = toGuardedSink(options.sink, log);
  const { bodyBytes, queueRequests, concurrency, upstreamTimeoutMs } = config.limits;
  const upstream = options.upstream ?? createUpstream({ origin: config.upstream, timeoutMs: upstreamTimeoutMs });
  const mood: Mood = { isDraining: false, isBypassed: false, pressure: 'none' };
  const budgetBytes = Math.max(BUDGET_BYTES_MIN, 4 * bodyBytes);
  const budget: BodyBudget = { usedBytes: 0, maxBytes: budgetBytes };
  const keyNames = toKeyNames(config.batch.keyHeaders);
  const random = createRandom(seed);
  const batchability = createBatchability({
    models: config.models,
    fetchJson: (path) => fetchJson(upstream, path),
    clock,
    onHeard: (model, version) => intake.heard(model, version),
  });
  const gate = new EngineGate<Lane<Exchange>>(concurrency);
  const models = new Models((model) => {
    const lane = createLane<Exchange>({
      model,
      settings: () => options.settings(model),
      maxBatchSize: () => batchability.maxItems(model),
      sla: () => options.slaMs(model),
      gate,
      queueRequests,
      random: random.fork(model),
      bypass: () => mood.isBypassed,
    });
    if (mood.isDraining) lane.drain();
    return lane;
  }, Object.keys(config.models));
  const answerBytesMax = ANSWER_LIMIT_FACTOR * bodyBytes;
  const driver = new Driver({ models, gate, upstream, batchability, clock, sink, log, answerBytesMax });
  const intake = new Intake({ models, batchability, driver, upstream, clock, mood, onUnbatched: options.onUnbatched });
  upstream.watch((isDown) => {
    if (isDown) log.warn('the model server accepts no connections: callers are told so at once', {});
    else log.info('the model server accepts connections again', {});
    if (!isDown) batchability.recheck();
  });
  let openRequests = 0;
  /** Connections with a refused request: where that one ended is in doubt, so what follows it is nobody's request. */
  const refused = new WeakSet<Socket>();

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    // 1. refuse. Node reads on behind a refusal until its connection is closed; none of that may run.
    if (refused.has(request.socket)) return void request.resume();
    const fault = checkFraming(request, bodyBytes);
    // 2. classify
    const route = matchRoute(request.method ?? 'GET', request.url ?? '/');
    const headers = readRequestHeaders(request.rawHeaders, request.headers.connection, keyNames);
    const isInference = route.verb !== 'other';
    // A path of no known protocol may still be an inference: it is counted, but never queued.
    const isCounted = isInference || (request.method === 'POST' && route.protocol === 'other');
    const label = isCounted ? OTHER_MODEL : null;
    const exchange = new Exchange({ request, response, route, headers, label, clock, sink, budget, mood });
    if (fault === null && isInference && route.model !== null) exchange.label = models.laneOf(route.model).label;
    exchange.isBypassed = mood.isBypassed;
    openRequests += 1;
    response.on('close', () => {
      openRequests -= 1;
      const { onLeave } = exchange;
      // The answer is not finished: the caller left.
      if (exchange.settle(0, 'cancelled', 'ignored')) onLeave?.(exchange);
    });
    if (fault !== null) {
      refuse(exchange, { kind: 'bad-request', ...fault });
      return;
    }
    readUrgency(exchange);
    if (options.enginePage !== undefined && request.method === 'GET' && request.url === '/metrics') {
      servePage(exchange, options.enginePage);
      return;
    }
    if (isInference && mood.pressure === 'shedding') {
      refuse(exchange, NO_MEMORY);
      return;
    }
    if (!isInference || mood.isBypassed) {
      passThrough(exchange);
      return;
    }
    // 3. collect
    collectBody(request, bodyBytes, budget, (collected) => {
      if (exchange.isSettled) return;
      switch (collected.kind) {
        case 'cut':
          exchange.settle(0, 'cancelled', 'ignored');
          response.destroy();
          return;
        case 'too-large':
          refuse(exchange, tooLarge(bodyBytes));
          return;
        case 'no-room':
          refuse(exchange, NO_MEMORY);
          return;
        case 'whole':
          exchange.setBody(collected.body);
          // 4. to 10.
          intake.admit(exchange);
          return;
        default:
          collected satisfies never;
      }
    });
  };

  const refuse = (exchange: Exchange, fault: Fault): void => {
    refused.add(exchange.request.socket);
    respondFault(exchange, fault);
  };

  const servePage = (exchange: Exchange, read: () => Promise<Buffer | null>): void => {
    read().then(
      (page) => (page === null ? passThrough(exchange) : respondPage(exchange, page)),
      () => passThrough(exchange),
    );
  };

  /** Everything that is no inference, and everything in bypass: streamed both ways, no queue, no limit. */
  const passThrough = (exchange: Exchange): void => {
    if (exchange.isSettled) return;
    const { request } = exchange;
    const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length']) > 0;
    let body: ReturnType<typeof toBodyStream> | null = null;
    if (hasBody) {
      body = toBodyStream(request, bodyBytes, () => refuse(exchange, tooLarge(bodyBytes)));
      const length = request.headers['content-length'];
      if (length !== undefined) exchange.requestBytes = Number(length);
    } else request.resume();
    exchange.stage = 'sent';
    exchange.sentMs = exchange.callStartedMs = clock.nowMs();
    exchange.reportArrival();
    noteReload(request);
    const call = callAlone(upstream, exchange, exchange.sentMs, () => undefined, body);
    if (!exchange.isSettled) exchange.onLeave = () => call.abort();
  };

  /** A model that is loaded or unloaded through us may come back with other shapes. */
  const noteReload = ({ method, url = '' }: IncomingMessage): void => {
    const model = method === 'POST' ? RELOAD.exec(url)?.[1] : undefined;
    if (model !== undefined) batchability.forget(model);
  };

  return {
    handle,
    setBypassed(isBypassed) {
      mood.isBypassed = isBypassed;
      intake.releaseAll();
      driver.pumpAll();
    },
    setPressure(pressure) {
      // Small requests still pass where something else took the memory.
      if (!isAtLeast(pressure, 'tight')) budget.maxBytes = budgetBytes;
      else if (mood.pressure === 'none') budget.maxBytes = Math.max(budget.usedBytes, budgetBytes / TIGHT_DIVISOR);
      mood.pressure = pressure;
    },
    settingsChanged: () => driver.pumpAll(),
    drain() {
      mood.isDraining = true;
      intake.releaseAll();
      driver.drain();
    },
    close() {
      for (const { lane } of models.all()) lane.close();
      intake.releaseAll();
    },
    async stop() {
      driver.stop();
      intake.releaseAll();
      await upstream.close();
    },
    get openRequests() {
      return openRequests;
    },
    get isBypassed() {
      return mood.isBypassed;
    },
    lanes: () => [...models.all()].map((entry) => toStatus(entry, clock.nowMs())),
    batchedLanes: () =>
      [...models.all()].filter(({ hasBatched }) => hasBatched).map((entry) => toStatus(entry, clock.nowMs())),
    load: (model) => toLoad(models.find(model), clock.nowMs()),
    batchability,
  };
}

function tooLarge(bodyBytes: number): { kind: 'bad-request'; status: 413; reason: string } {
  return { kind: 'bad-request', status: 413, reason: `the body is over the limit of ${bodyBytes} bytes` };
}
