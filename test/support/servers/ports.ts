// Ports that are free now, for servers that do not take a port of 0 or do not say which they got.
import { createServer } from 'node:net';

/** Below the range from which the kernel draws ports for outgoing connections, so that none of those takes one. */
const LOWEST = 18_000;
const HIGHEST = 32_000;

/** Gives so many distinct free ports of 127.0.0.1. They are free, not held: whoever binds one must be quick. */
export async function findFreePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const bound = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  if (bound) await new Promise((resolve) => server.close(resolve));
  return bound;
}
