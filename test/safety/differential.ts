// A table on demand, no test: what plain node:http makes of each case, what the agent does, and what the model server
// saw. `node test/safety/differential.ts [words of a name]`; without words, only the cases on which they differ.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATHS, toBytes } from '../support/corpus/case.ts';
import { allCases } from '../support/corpus/cases.ts';
import { startProxyBench } from '../support/peers/proxy-bench.ts';
import { connectWire } from '../support/wire-client.ts';
import { statusOf } from '../support/wire-parser.ts';
import { startRecorder } from '../support/wire-recorder.ts';

const SETTLE_MS = 60;

/** Statuses in their order, `-` when nothing came, and whether the connection was closed. */
async function send(port: number, bytes: Buffer): Promise<string> {
  const client = await connectWire(port);
  client.write(bytes, 20, bytes.toString('latin1', 0, 5) === 'HEAD ');
  await client.until(() => client.isClosed, SETTLE_MS);
  const text = client.answers.map(statusOf).join(' ') || '-';
  client.destroy();
  return client.isClosed ? `${text} closed` : text;
}

const words = process.argv.slice(2).join(' ');
const path = PATHS.streamed;
let handled: string[] = [];
const plain = createServer((request, response) => {
  const mark = { text: `${request.method} unfinished` };
  handled.push(mark.text);
  const at = handled.length - 1;
  request.resume().on('end', () => {
    handled[at] = String(request.method);
    response.end('{}');
  });
});
await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
const recorder = await startRecorder();
const bench = await startProxyBench(recorder.origin);

const rows: string[][] = [['case', 'expected', 'plain node:http', 'its handler', 'the agent', 'the model server saw']];
let differing = 0;
for (const one of allCases().filter(({ name }) => name.includes(words))) {
  handled = [];
  recorder.clear();
  const bytes = toBytes(one, path, 'd');
  const [byNode, byAgent] = await Promise.all([
    send((plain.address() as AddressInfo).port, bytes),
    send(bench.port, bytes),
  ]);
  await sleep(2);
  const saw = recorder.seen.map(({ method, framing, body }) => `${method} ${framing} ${body.length}`);
  if (recorder.torn.length > 0) saw.push(`${recorder.torn.length} torn`);
  const isSame = byNode === byAgent && handled.length === recorder.seen.length;
  if (!isSame) differing += 1;
  if (!isSame || words !== '')
    rows.push([one.name, one.verdicts.join('/'), byNode, handled.join(', ') || '-', byAgent, saw.join(', ') || '-']);
}
const widths = rows[0]!.map((_, i) => Math.min(48, Math.max(...rows.map((row) => row[i]!.length))));
for (const row of rows)
  process.stdout.write(`${row.map((text, i) => text.slice(0, 48).padEnd(widths[i]!)).join('  ')}\n`);
process.stdout.write(`${differing} of ${allCases().length} cases end otherwise than with plain node:http\n`);
plain.close();
plain.closeAllConnections();
await bench.close();
await recorder.close();
