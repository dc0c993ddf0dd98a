// The model server of model-main.ts, to be killed and started again on the same port.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, type Asked } from './http-ask.ts';

export interface ModelProcess {
  readonly port: number;
  readonly origin: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on its port; resolves when it listens. */
  restart(): Promise<void>;
  /** Everything executed since the first start, in order, by what the requests carried. */
  executed(): string[];
  /** Share of the calls that end in 500, from now on. */
  setErrors(ratio: number): Promise<void>;
  /** Upstream calls of this life. */
  calls(): Promise<number>;
  close(): Promise<void>;
}

/** A call of n items takes `baseMs` + n `itemMs` on its one device. */
export async function startModelProcess(baseMs = 1, itemMs = 0): Promise<ModelProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'morphling-model-'));
  const record = join(folder, 'executed');
  writeFileSync(record, '');
  let child: ChildProcess;
  let port = 0;
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const main = join(import.meta.dirname, 'model-main.ts');
      const args = [main, String(port), record, String(baseMs), String(itemMs)];
      child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout!.setEncoding('utf8').once('data', (text: string) => {
        port = Number(/^listening (\d+)/.exec(text)?.[1]);
        resolve();
      });
      child.once('exit', (code) => reject(new Error(`the model server ended with ${code}`)));
    });
  const kill = (): Promise<void> =>
    new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.removeAllListeners('exit');
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const get = (path: string): Asked => ({ method: 'GET', path });
  await start();
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    kill,
    restart: start,
    executed: () => readFileSync(record, 'utf8').split('\n').slice(0, -1),
    setErrors: async (ratio) => void (await ask(port, get(`/control?errors=${ratio}`))),
    calls: async () => (JSON.parse((await ask(port, get('/'))).body.toString()) as { calls: number }).calls,
    async close() {
      process.removeListener('exit', killNow);
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One V1 request that carries what it is known by. */
export function predictOne(nonce: string, headers: readonly string[] = []): Asked {
  return {
    method: 'POST',
    path: '/v1/models/m:predict',
    headers: ['Content-Type', 'application/json', ...headers],
    body: JSON.stringify({ instances: [nonce] }),
  };
}
