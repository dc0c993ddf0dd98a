// Starts upstream-process.ts and waits until it listens.
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

const FILE = join(import.meta.dirname, 'upstream-process.ts');

export function startUpstreamProcess(
  port: number,
  notes: string,
  { latencyMs = 5, drainMs = 0 } = {},
): Promise<ChildProcess> {
  const child = fork(FILE, [String(port), notes, String(latencyMs), String(drainMs)], { execArgv: [] });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  child.once('exit', () => process.removeListener('exit', killNow));
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child));
    child.once('exit', (code) => reject(new Error(`the model server ended with ${code}`)));
  });
}
