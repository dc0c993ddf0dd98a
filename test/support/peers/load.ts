// The Go load generator as a function: one run, one result.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../debian.ts';
import type { Tool } from './tools.ts';

export interface LoadOptions {
  readonly port: number;
  /** The bytes of one HTTP/1.1 request. */
  readonly request: Buffer;
  readonly connections: number;
  /** Requests a second by the clock; 0: closed loop, each connection sends as soon as it has its answer. */
  readonly ratePerS: number;
  readonly durationS: number;
  readonly arrivals?: 'constant' | 'poisson';
  readonly seed?: number;
  /** Processor to run on. */
  readonly cpu?: number;
}

/** Milliseconds. */
export interface LoadSummary {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  readonly meanMs: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly answered: number;
  /** Connections lost, answers that are not HTTP, requests without an answer. */
  readonly failed: number;
  readonly lastFault?: string;
  readonly statuses: Readonly<Record<string, number>>;
  readonly elapsedS: number;
  readonly achievedPerS: number;
  readonly bodyBytes: number;
  /** From the moment the request was due (open loop) or sent (closed). */
  readonly latency: LoadSummary;
  /** How late the generator itself was, where a connection was free. */
  readonly scheduleError: LoadSummary;
  /** Requests that found every connection busy when they were due. */
  readonly delayed: number;
  readonly reconnects: number;
}

const execute = promisify(execFile);

/** Rejects when the generator cannot connect or is given nonsense. */
export async function runLoad(tools: Tool, options: LoadOptions): Promise<LoadResult> {
  const folder = await mkdtemp(join(tmpdir(), 'morphling-load-'));
  try {
    const file = join(folder, 'request');
    await writeFile(file, options.request);
    const args = [
      ['-target', `127.0.0.1:${options.port}`],
      ['-request', file],
      ['-connections', String(options.connections)],
      ['-rate', String(options.ratePerS)],
      ['-duration', `${options.durationS}s`],
      ['-arrivals', options.arrivals ?? 'constant'],
      ['-seed', String(options.seed ?? 1)],
    ].flat();
    const load = join(tools.folder, 'load');
    const taskset = options.cpu === undefined ? null : findProgram('taskset');
    const isPinned = taskset?.kind === 'ready';
    const { stdout } = await execute(
      isPinned ? taskset.path : load,
      isPinned ? ['--cpu-list', String(options.cpu), load, ...args] : args,
    );
    return JSON.parse(stdout) as LoadResult;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A request as the generator sends it, with the framing a plain client uses. */
export function toRequest(path: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): Buffer {
  const lines = Object.entries({
    Host: 'model.default',
    'User-Agent': 'bench/1',
    Accept: '*/*',
    'Content-Type': 'application/json',
    ...headers,
    'Content-Length': String(body.length),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'), body]);
}
