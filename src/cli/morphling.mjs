#!/usr/bin/env node
// Entry of the program: finds a Node that can run it, then dist/ (the package) or the sources (a clone).
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > 22 || (major === 22 && minor >= 19)) {
  const built = new URL('../../dist/src/cli/main.js', import.meta.url);
  const { main } = await import(existsSync(built) ? built.href : new URL('./main.ts', import.meta.url).href);
  await main();
} else {
  const packaged = `node-linux-${process.arch}/bin/node`;
  let node;
  try {
    node = createRequire(import.meta.url).resolve(packaged);
  } catch {
    console.error(
      `morphling needs Node 22.19 or later, this is ${process.version}; install it, or the optional package ${packaged.split('/')[0]}`,
    );
    process.exit(1);
  }
  const child = spawn(node, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => (signal ? process.kill(process.pid, signal) : process.exit(code ?? 1)));
}
