// A real model server under test: what a test may ask for and what it gets, whichever of the three it is.

export type ServerName = 'mlserver' | 'kserve' | 'triton';

/** The models of test/fixtures/models/catalogue.py, where each is described. */
export const MODEL_NAMES = ['echo', 'pair', 'picky', 'sum0', 'sum0-open', 'miscount', 'mlp', 'magika'] as const;

export type ModelName = (typeof MODEL_NAMES)[number];

export interface StartOptions {
  /** Served models, all if left out; fewer start faster. */
  readonly models?: readonly ModelName[];
  /** HTTP port, a free one if left out. */
  readonly port?: number;
  /** The longest wait until server and models are ready, 60 000 if left out. */
  readonly readyTimeoutMs?: number;
}

/** A running server on loopback. It ends with `stop`, with `kill9`, or with the process that started it. */
export interface ModelServer extends AsyncDisposable {
  readonly name: ServerName;
  /** HTTP, such as `http://127.0.0.1:21000`, without a slash at the end. */
  readonly url: string;
  /** Open Inference over gRPC, such as `127.0.0.1:21001`. */
  readonly grpcUrl: string;
  /** The server's own Prometheus page, whole. */
  readonly metricsUrl: string;
  /** The server's process, which leads a process group of its own. */
  readonly pid: number;
  /** The end of what it wrote to stdout and stderr. */
  output(): string;
  /** SIGTERM, and SIGKILL to the group if it is not gone in time. May be called again. */
  stop(): Promise<void>;
  /** SIGKILL to the whole group: the crash of a model server. */
  kill9(): Promise<void>;
  /** SIGSTOP to the group: a server that hangs, its sockets open. `stop` and `kill9` work on it. */
  suspend(): void;
  /** Lets a suspended server go on. */
  resume(): void;
}
