// A model server that writes down what reaches it, byte for byte, and answers whatever a test tells it to. It trusts
// nobody: whether a request is whole, framed once and one of those that were sent is decided here, not by the agent.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { targetOf, valuesOf, WireParser, type WireMessage } from './wire-parser.ts';

/** One connection from the agent. */
export interface Link {
  /** Counts up from 0. */
  readonly id: number;
  readonly socket: Socket;
  /** Requests seen on it so far. */
  requests: number;
  /** Set by a script that has answered badly here: whatever comes after it is a reuse of a poisoned connection. */
  poison: string | null;
}

export interface Seen extends WireMessage {
  readonly method: string;
  readonly target: string;
  readonly link: Link;
  /** The value of `x-case`, by which a test finds its own. */
  readonly tag: string | null;
}

/** What the recorder does with a request; by default it answers. */
export interface Script {
  /** The head is there, the body may not be: an early answer starts here. */
  head?(seen: Seen): void;
  request(seen: Seen): void;
}

export interface WireRecorder {
  readonly port: number;
  readonly origin: string;
  /** Whole requests in the order in which they ended. */
  readonly seen: Seen[];
  /** Bytes that are no request, and requests that asked for the canary path. Must stay empty. */
  readonly smuggled: string[];
  /** Requests that were cut before their end: not whole, so harmless. */
  readonly torn: string[];
  /** Requests that came on a connection after a bad answer. Must stay empty. */
  readonly reused: string[];
  readonly links: ReadonlySet<Link>;
  script: Script;
  /** Forgets what was seen; connections stay. */
  clear(): void;
  close(): Promise<void>;
}

/** Asked for by every corpus case that tries to slip a second request past the agent. */
export const CANARY = '/smuggled';

export async function startRecorder(script: Script = { request: answerEcho }, port = 0): Promise<WireRecorder> {
  const seen: Seen[] = [];
  const smuggled: string[] = [];
  const torn: string[] = [];
  const reused: string[] = [];
  const links = new Set<Link>();
  let opened = 0;

  const server = createServer({ noDelay: true }, (socket) => {
    const link: Link = { id: opened++, socket, requests: 0, poison: null };
    links.add(link);
    let started: string | null = null;
    const toSeen = (message: WireMessage): Seen => ({
      ...message,
      ...targetOf(message),
      link,
      tag: valuesOf(message.headers, 'x-case')[0] ?? null,
    });
    const parser = new WireParser('request', {
      head(message) {
        started = message.start;
        if (link.poison !== null && !isProbe(message)) reused.push(`${message.start} after ${link.poison}`);
        link.requests += 1;
        recorder.script.head?.(toSeen(message));
      },
      message(message) {
        started = null;
        const request = toSeen(message);
        // The agent's own questions about health and metadata are nobody's request.
        if (isProbe(message)) {
          recorder.script.request(request);
          return;
        }
        seen.push(request);
        if (request.target.includes(CANARY)) smuggled.push(request.head);
        recorder.script.request(request);
      },
      fault(reason) {
        smuggled.push(`${reason} (after ${link.requests} requests on the connection)`);
        socket.destroy();
      },
    });
    socket.on('data', (bytes: Buffer) => parser.push(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      links.delete(link);
      if (!parser.end()) torn.push(started ?? 'in the head');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const recorder: WireRecorder = {
    port: bound,
    origin: `http://127.0.0.1:${bound}`,
    seen,
    smuggled,
    torn,
    reused,
    links,
    script,
    clear() {
      for (const list of [seen, smuggled, torn, reused]) list.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const { socket } of links) socket.destroy();
      }),
  };
  return recorder;
}

/** The agent asks about health and metadata itself, at moments of its own. */
function isProbe(message: WireMessage): boolean {
  return valuesOf(message.headers, 'user-agent')[0] === 'morphling';
}

/** An answer with a length. */
export function toWire(body: string | Buffer, status = '200 OK', headers: readonly string[] = []): Buffer {
  const bytes = Buffer.from(body);
  const head = [`HTTP/1.1 ${status}`, ...headers, `content-length: ${bytes.length}`, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

/**
 * Answers as a model that gives back what it got, item by item (V1), or with an account of the request. Every answer
 * names the case it belongs to, so that whoever gets another's notices.
 */
export function answerEcho(seen: Seen): void {
  const tag = seen.tag === null ? [] : [`x-case: ${seen.tag}`];
  const body = echoOf(seen) ?? JSON.stringify({ tag: seen.tag, target: seen.target, bytes: seen.body.length });
  const wire = toWire(body, '200 OK', ['content-type: application/json', ...tag]);
  // The answer to HEAD has a length and no body.
  seen.link.socket.write(seen.method === 'HEAD' ? wire.subarray(0, wire.length - Buffer.byteLength(body)) : wire);
}

/** `{"instances": X}` becomes `{"predictions": X}`; null for anything else. */
export function echoOf({ body }: { readonly body: Buffer }): string | null {
  try {
    const { instances } = JSON.parse(body.toString()) as { instances?: unknown };
    return Array.isArray(instances) ? JSON.stringify({ predictions: instances }) : null;
  } catch {
    return null;
  }
}
