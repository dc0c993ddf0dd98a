// End to end: real processes, real model servers. One file at a time, as they share two cores.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // Real time on a shared machine: a second try tells a stall of the machine from a fault, and is printed.
    retry: 1,
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
});
