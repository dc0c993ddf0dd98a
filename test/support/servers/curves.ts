// Prints the latency of mlp and magika by batch, straight from each server, as a Markdown table.
// usage: node test/support/servers/curves.ts [mlserver|kserve|triton ...]      (all if none is named)
import { startKserve } from './kserve.ts';
import { measureLatency } from './latency.ts';
import type { MeasuredModel } from './latency.ts';
import { startMlserver } from './mlserver.ts';
import type { ServerName } from './server.ts';
import { startTriton } from './triton.ts';

const STARTS = { triton: startTriton, kserve: startKserve, mlserver: startMlserver };
const BATCHES = [1, 2, 4, 8, 16, 32];
const BUDGET_MS = 2000;

const asked = process.argv.slice(2) as ServerName[];
const head = BATCHES.map((batch) => ` ${batch} |`).join('');
console.log(`| ms a call, fastest / median |${head} gain |\n| --- |${' --- |'.repeat(BATCHES.length + 1)}`);
for (const name of asked.length > 0 ? asked : (Object.keys(STARTS) as ServerName[])) {
  await using server = await STARTS[name]({ models: ['mlp', 'magika'] });
  for (const model of ['mlp', 'magika'] satisfies MeasuredModel[]) {
    const curve = [];
    for (const batch of BATCHES) curve.push(await measureLatency(server, model, batch, BUDGET_MS));
    const cells = curve
      .map(({ minMs, medianMs }) => ` ${minMs.toPrecision(3)} / ${medianMs.toPrecision(3)} |`)
      .join('');
    const gain = Math.max(...curve.map(({ itemsPerS }) => itemsPerS)) / (curve[0]?.itemsPerS ?? Number.NaN);
    console.log(`| ${model}, ${name} |${cells} ${gain.toFixed(1)}x |`);
  }
}
