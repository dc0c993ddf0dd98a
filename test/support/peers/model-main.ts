// A model server as a process of its own, so that it can be killed: V1 echo on one modelled device, one call after
// another, and a file with everything that was ever executed. Started by model-process.ts.
import { appendFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const [port = '0', record = '/dev/null', baseMs = '1', itemMs = '0'] = process.argv.slice(2);
/** Share of the calls that are answered 500 after their time on the device; turned by `/control?errors=0.5`. */
let errorRatio = 0;
let calls = 0;
const line: (() => void)[] = [];
let isBusy = false;

/** Runs when the device is free, for so long. */
function onDevice(durationMs: number, end: () => void): void {
  line.push(() => {
    setTimeout(() => {
      end();
      next();
    }, durationMs);
  });
  if (!isBusy) next();
}

function next(): void {
  const run = line.shift();
  isBusy = run !== undefined;
  run?.();
}

function json(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function predict(response: ServerResponse, body: Buffer): void {
  let instances: unknown[];
  try {
    ({ instances } = JSON.parse(body.toString()) as { instances: unknown[] });
  } catch (error) {
    return json(response, 400, { error: String(error) });
  }
  appendFileSync(record, instances.map((one) => `${String(one)}\n`).join(''));
  calls += 1;
  onDevice(Number(baseMs) + Number(itemMs) * instances.length, () => {
    // Evenly spread, so that a share of the calls is a share at every rate.
    const isError = Math.floor(calls * errorRatio) !== Math.floor((calls - 1) * errorRatio);
    if (isError) json(response, 500, { error: 'as asked' });
    else json(response, 200, { predictions: instances });
  });
}

/** Events every 100 ms for `ms`, then one that says that it was all. */
function stream(response: ServerResponse, ms: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const endMs = performance.now() + ms;
  const timer = setInterval(() => {
    if (performance.now() < endMs) response.write('data: more\n\n');
    else response.end('data: end\n\n');
  }, 100);
  response.on('close', () => clearInterval(timer));
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://m');
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (url.pathname.endsWith(':predict')) return predict(response, Buffer.concat(chunks));
    if (url.pathname === '/events') return stream(response, Number(url.searchParams.get('ms')));
    if (url.pathname === '/control') errorRatio = Number(url.searchParams.get('errors') ?? errorRatio);
    json(response, 200, { calls });
  });
});
server.listen(Number(port), '127.0.0.1', () =>
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`),
);
