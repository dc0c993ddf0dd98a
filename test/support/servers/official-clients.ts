// The clients that people use, unchanged, from Python: what they get must be what they get from the server itself.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { requireEnvironment } from './environment.ts';
import type { Tensor } from './infer.ts';

export type OfficialClient =
  | 'tritonclient-http' // binary tensors
  | 'tritonclient-http-json'
  | 'tritonclient-http-gzip' // binary tensors, both bodies compressed
  | 'tritonclient-http-aio' // binary tensors, the asyncio flavour
  | 'tritonclient-grpc'
  | 'kserve-v1'
  | 'kserve-v2' // binary tensors
  | 'kserve-v2-json'
  | 'kserve-grpc';

export interface ClientRun {
  readonly client: OfficialClient;
  /** `http://HOST:PORT`, or `HOST:PORT` for a gRPC client. */
  readonly url: string;
  readonly model: string;
  /** The inputs of each request; for `kserve-v1` each has one tensor, whose rows are the instances. */
  readonly requests: readonly (readonly Tensor[])[];
  /** Requests in flight, all at once if left out. */
  readonly concurrency?: number;
}

/** What a client made of one answer: outputs, or the error as it shows it. */
export type ClientResult = { readonly outputs: readonly Tensor[] } | { readonly error: string };

/** Sends the requests through an official client, and gives its results in their order. Integers are as JSON has them. */
export async function runOfficialClient(job: ClientRun): Promise<ClientResult[]> {
  const { python } = await requireEnvironment('clients');
  const child = spawn(python, ['-B', join(import.meta.dirname, 'official_clients.py')], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
  });
  child.stdin.end(JSON.stringify({ concurrency: job.requests.length, ...job }));
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new Error(`${job.client} ended with ${code}: ${err.slice(-2000)}`);
  return JSON.parse(out) as ClientResult[];
}
