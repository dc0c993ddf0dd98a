// The stand-in nvidia-smi: a small script that answers --query-gpu with the emulator's load.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Where the script asks: the emulator's `GET /emulator/device`. */
export const DEVICE_PATH = '/emulator/device';

/**
 * Writes an executable file to `path` that behaves as nvidia-smi for `--query-gpu=… --format=csv[,noheader][,nounits]`
 * with `-l S` and `-lms MS`, `--id`, `-L` and the plain summary, for one device, whose figures it fetches from
 * `emulatorUrl`. A field it does not know is refused as the real one does; power and temperature, which nothing
 * models, are `[N/A]`. An emulator that is gone looks as a driver that is gone: exit 9.
 */
export function writeNvidiaSmi(path: string, emulatorUrl: string, nodePath: string = process.execPath): void {
  mkdirSync(dirname(resolve(path)), { recursive: true });
  const config = `const DEVICE_URL = ${JSON.stringify(emulatorUrl + DEVICE_PATH)};\n`;
  // A function's own text cannot be used here: it must run as plain CommonJS whatever compiled this file.
  writeFileSync(path, `#!${nodePath}\n${HEAD}${config}${SCRIPT}`, { mode: 0o755 });
  chmodSync(path, 0o755);
}

const HEAD = "// Written by `morphling emulate`: not NVIDIA's program, its figures are a model's.\n";

const SCRIPT = String.raw`'use strict';
const http = require('node:http');
const args = process.argv.slice(2);
const option = (...names) => {
  for (let i = 0; i < args.length; i++) for (const name of names) {
    if (args[i] === name) return args[i + 1];
    if (args[i].startsWith(name + '=')) return args[i].slice(name.length + 1);
  }
  return undefined;
};
const MiB = 1048576;
const FIELDS = {
  timestamp: ['', () => new Date().toISOString().replace('T', ' ').replaceAll('-', '/').slice(0, 23)],
  driver_version: ['', () => '0.0.0-emulated'],
  count: ['', () => '1'],
  name: ['', (d) => d.name],
  gpu_name: ['', (d) => d.name],
  index: ['', () => '0'],
  uuid: ['', (d) => d.uuid],
  gpu_uuid: ['', (d) => d.uuid],
  'pci.bus_id': ['', () => '00000000:00:00.0'],
  'mig.mode.current': ['', () => '[N/A]'],
  compute_mode: ['', () => 'Default'],
  pstate: ['', () => 'P0'],
  'utilization.gpu': ['%', (d) => Math.round(100 * d.utilizationRatio)],
  'utilization.memory': ['%', () => '[N/A]'],
  'memory.total': ['MiB', (d) => Math.round(d.memoryTotalBytes / MiB)],
  'memory.used': ['MiB', (d) => Math.round(d.memoryUsedBytes / MiB)],
  'memory.free': ['MiB', (d) => Math.round((d.memoryTotalBytes - d.memoryUsedBytes) / MiB)],
  'memory.reserved': ['MiB', () => 0],
  'power.draw': ['W', () => '[N/A]'],
  'power.limit': ['W', () => '[N/A]'],
  'temperature.gpu': ['', () => '[N/A]'],
  'clocks.sm': ['MHz', () => '[N/A]'],
  'clocks.mem': ['MHz', () => '[N/A]'],
};
const say = (text) => process.stdout.write(text + '\n');
const fetchDevice = () => new Promise((done, fail) => {
  const request = http.get(DEVICE_URL, { timeout: 2000 }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => {
      try { done(JSON.parse(text)); } catch (error) { fail(error); }
    });
  });
  request.on('timeout', () => request.destroy(new Error('timeout'))).on('error', fail);
});
const gone = () => {
  say("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. (The emulator does not answer.)");
  process.exit(9);
};
process.stdout.on('error', () => process.exit(0));
const query = option('--query-gpu');
const format = (option('--format') || '').split(',').map((word) => word.trim());
if (query === undefined) {
  if (args.includes('--query-compute-apps') || option('--query-compute-apps') !== undefined) process.exit(0);
  fetchDevice().then((d) => say(args.includes('-L')
    ? 'GPU 0: ' + d.name + ' (UUID: ' + d.uuid + ')'
    : 'Emulated GPU 0: ' + d.name + ', ' + Math.round(100 * d.utilizationRatio) + ' % busy'), gone);
} else {
  const names = query.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) {
    say('Field "' + unknown + '" is not a valid field to query.\n');
    process.exit(2);
  }
  if (!format.includes('csv')) {
    say('"--format=" must be specified and must contain csv.');
    process.exit(2);
  }
  const hasUnits = !format.includes('nounits');
  const line = (d) => names.map((name) => {
    const [unit, read] = FIELDS[name];
    const value = read(d);
    return hasUnits && unit !== '' && typeof value === 'number' ? value + ' ' + unit : String(value);
  }).join(', ');
  if (!format.includes('noheader'))
    say(names.map((name) => name + (hasUnits && FIELDS[name][0] !== '' ? ' [' + FIELDS[name][0] + ']' : '')).join(', '));
  const ms = option('-lms', '--loop-ms');
  const s = option('-l', '--loop');
  const everyMs = ms !== undefined ? Number(ms) : s !== undefined ? 1000 * Number(s) : null;
  const tick = () => fetchDevice().then((d) => {
    say(line(d));
    if (everyMs !== null) setTimeout(tick, everyMs);
  }, gone);
  tick();
}
`;
