// What a request costs in the data process: CPU microseconds by /proc, latency added, against the model server alone.
// Run: node test/bench/proxy-cost.ts [requests]   prints JSON.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { findFreePorts } from '../support/servers/ports.ts';
import { toTestConfig } from '../support/peers/proxy-bench.ts';
import { connectRaw } from '../support/peers/raw-client.ts';

const root = join(import.meta.dirname, '../..');
const REQUESTS = Number(process.argv[2] ?? 20_000);
const CONNECTIONS = 32;
const TICK_US = 10_000; // USER_HZ is 100 on every Linux that Node runs on

const UPSTREAM = `require('node:net').createServer((s) => { s.setNoDelay(); s.on('data', (d) => { const t = d.toString('latin1');
  const n = t.split('HTTP/1.1\\r\\n').length - 1; const items = t.startsWith('POST /v1/models/m') ? JSON.parse(t.slice(t.indexOf('\\r\\n\\r\\n'))).instances.length : 1;
  const body = '{"predictions":[' + Array(items).fill('"' + 'x'.repeat(150) + '"').join() + ']}';
  for (let i = 0; i < n; i++) s.write('HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n' + body); }); s.on('error', () => 0); }).listen(+process.argv[1], '127.0.0.1')`;

const [upstreamPort = 0, port = 0] = await findFreePorts(2);
const config = toTestConfig(`http://127.0.0.1:${upstreamPort}`, { listen: { host: '127.0.0.1', port } });
const upstream = spawn(process.execPath, ['-e', UPSTREAM, String(upstreamPort)], { stdio: 'inherit' });
const agent = spawn(process.execPath, [join(root, 'sidecar/main.ts')], {
  stdio: 'inherit',
  env: { ...process.env, MORPHLING_RESOLVED_CONFIG: JSON.stringify(config) },
});
await new Promise((resolve) => setTimeout(resolve, 1500));

const body = JSON.stringify({ instances: ['y'.repeat(150)] });
const head = 'Host: m\r\nContent-Type: application/json\r\nAccept: */*\r\nUser-Agent: bench\r\n';
const kinds = {
  direct: [upstreamPort, `POST /v1/models/m:predict HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`],
  batched: [port, `POST /v1/models/m:predict HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`],
  queuedAlone: [port, `POST /v1/chat/completions HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`],
  passedOn: [port, `GET /v2/health/ready HTTP/1.1\r\n${head}\r\n`],
} as const;

const result: Record<string, unknown> = { machine: cpus()[0]?.model, node: process.version, requests: REQUESTS };
for (let round = 0; round < 2; round++) {
  for (const [kind, [to, request]] of Object.entries(kinds)) {
    const beforeUs = readCpuUs(agent);
    const startMs = performance.now();
    const waitsMs = await run(to, request);
    waitsMs.sort((a, b) => a - b);
    // The first round warms up the compiler.
    result[kind] = {
      cpuUsPerRequest: kind === 'direct' ? null : Math.round((readCpuUs(agent) - beforeUs) / REQUESTS),
      requestsPerS: Math.round((1000 * REQUESTS) / (performance.now() - startMs)),
      p50Ms: Number(waitsMs[Math.floor(REQUESTS * 0.5)]?.toFixed(2)),
      p99Ms: Number(waitsMs[Math.floor(REQUESTS * 0.99)]?.toFixed(2)),
    };
  }
}
console.log(JSON.stringify(result, null, 1));
agent.kill('SIGKILL');
upstream.kill('SIGKILL');

async function run(to: number, request: string): Promise<number[]> {
  const waitsMs: number[] = [];
  let left = REQUESTS;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const { socket } = await connectRaw(to);
      await new Promise<void>((resolve) => {
        let sentMs = 0;
        const send = (): void => {
          if (left-- <= 0) {
            socket.destroy();
            resolve();
            return;
          }
          sentMs = performance.now();
          socket.write(request);
        };
        // Answers are small and come whole but for rare splits, which end in `]}`.
        socket.on('data', (chunk: Buffer) => {
          if (chunk[chunk.length - 1] !== 0x7d) return;
          waitsMs.push(performance.now() - sentMs);
          send();
        });
        send();
      });
    }),
  );
  return waitsMs;
}

function readCpuUs(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}
