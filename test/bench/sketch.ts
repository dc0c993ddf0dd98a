// How long does one record take, and how far off are the quantiles? `node test/bench/sketch.ts` prints JSON.
import { cpus } from 'node:os';
import { Sketch } from '../../sidecar/sense/sketch.ts';
import { createRandom } from '../../src/core/random.ts';

const SAMPLES = 200_000;
const RUNS = 9;
const QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.999];

const random = createRandom(1);
/** Lognormal around 20 ms with a slow mode of 2 %. */
const values = Float64Array.from(
  { length: SAMPLES },
  () => 20 * Math.exp(0.4 * random.normal()) * (random.next() < 0.02 ? 10 : 1),
);

const nsPerRecord: number[] = [];
let sketch = new Sketch();
for (let run = 0; run < RUNS + 2; run++) {
  sketch = new Sketch();
  const before = process.cpuUsage();
  for (let i = 0; i < SAMPLES; i++) sketch.record(values[i]!);
  const { user, system } = process.cpuUsage(before);
  // The first two runs warm the compiler up.
  if (run >= 2) nsPerRecord.push((1000 * (user + system)) / SAMPLES);
}
nsPerRecord.sort((a, b) => a - b);

const sorted = values.toSorted();
const errorPercent = Object.fromEntries(
  QUANTILES.map((q) => {
    const exact = sorted[Math.ceil(q * SAMPLES) - 1]!;
    return [q, Number(((100 * (sketch.quantile(q) - exact)) / exact).toFixed(2))];
  }),
);

console.log(
  JSON.stringify({
    question: 'cost of one record and error of the quantiles',
    machine: `${cpus().length} x ${cpus()[0]?.model}`,
    node: process.version,
    runs: RUNS,
    nsPerRecord: { median: nsPerRecord[RUNS >> 1], min: nsPerRecord[0], max: nsPerRecord.at(-1) },
    errorPercent,
  }),
);
