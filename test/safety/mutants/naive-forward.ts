// What a careless proxy has in the place of sidecar/proxy/forward.ts: the caller's framing headers as they came, answers
// found by their length alone, connections given back to the pool whatever happened on them. Only mutants load it.
import { connect, type Socket } from 'node:net';
import type { AnswerReceiver, Call, CallRequest, Upstream, UpstreamOptions } from '../../../sidecar/proxy/forward.ts';
import { findHeader, readAnswerHeaders } from '../../../sidecar/proxy/headers.ts';

interface Line {
  readonly socket: Socket;
  /** What came and was not read: the next call begins with it. */
  left: Buffer;
  receive: (() => void) | null;
}

export function createUpstream({ origin, timeoutMs }: UpstreamOptions): Upstream {
  const { hostname, port } = new URL(origin);
  const free: Line[] = [];

  const open = (): Line => {
    const line: Line = { socket: connect(Number(port), hostname), left: Buffer.alloc(0), receive: null };
    line.socket.on('data', (bytes: Buffer) => {
      line.left = Buffer.concat([line.left, bytes]);
      line.receive?.();
    });
    line.socket.on('error', () => undefined);
    line.socket.on('close', () => line.receive?.());
    return line;
  };

  const call = ({ method, path, headers, body }: CallRequest, receiver: AnswerReceiver): Call => {
    const line = free.pop() ?? open();
    let isDone = false;
    const giveBack = (): void => {
      isDone = true;
      clearTimeout(timer);
      line.receive = null;
      if (!line.socket.destroyed) free.push(line);
    };
    const fail = (fault: 'broken' | 'timeout' | 'aborted'): void => {
      if (isDone) return;
      giveBack();
      receiver.failed(fault);
    };
    const timer = setTimeout(() => fail('timeout'), timeoutMs);
    line.receive = () => {
      if (isDone) return;
      const end = line.left.indexOf('\r\n\r\n');
      if (end === -1) return void (line.socket.destroyed && fail('broken'));
      const [first = '', ...fields] = line.left.toString('latin1', 0, end).split('\r\n');
      const raw = fields.flatMap((field) => [
        field.slice(0, field.indexOf(':')),
        field.slice(field.indexOf(':') + 1).trim(),
      ]);
      const length = Number(findHeader(raw, 'content-length') ?? line.left.length - end - 4);
      if (line.left.length < end + 4 + length) return void (line.socket.destroyed && fail('broken'));
      const answer = line.left.subarray(end + 4, end + 4 + length);
      line.left = line.left.subarray(end + 4 + length);
      giveBack();
      const known = readAnswerHeaders(raw);
      receiver.head({
        status: Number(first.split(' ')[1]) || 502,
        statusText: '',
        ...known,
        contentLength: String(length),
      });
      receiver.data(answer);
      receiver.ended();
    };
    const hasFraming = headers.some((name) => /^(?:content-length|transfer-encoding)$/i.test(name));
    const lines = headers.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${headers[i + 1]}`] : []));
    const write = (bytes: Buffer): void => {
      const length = hasFraming ? [] : [`content-length: ${bytes.length}`];
      line.socket.write([`${method} ${path} HTTP/1.1`, ...lines, ...length, '', ''].join('\r\n'), 'latin1');
      line.socket.write(bytes);
      line.receive?.();
    };
    if (body === null || Buffer.isBuffer(body)) write(body ?? Buffer.alloc(0));
    else {
      const parts: Buffer[] = [];
      body.on('data', (part: Buffer) => parts.push(part));
      body.on('error', () => fail('broken'));
      body.on('end', () => write(Buffer.concat(parts)));
    }
    return { abort: () => fail('aborted'), resume: () => undefined };
  };
  return {
    call,
    isDown: false,
    retries: { made: 0, refused: 0 },
    watch: () => undefined,
    close() {
      for (const { socket } of free) socket.destroy();
      return Promise.resolve();
    },
  };
}
