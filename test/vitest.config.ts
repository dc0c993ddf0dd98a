// Unit and property tests: everything under test/ that needs no foreign server.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**'],
    pool: 'forks',
    // Some drive real sockets and children; a second try tells a stall of the machine from a fault, and is printed.
    retry: 1,
    testTimeout: 20_000,
  },
});
