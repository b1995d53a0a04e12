import { defineConfig } from 'vitest/config';

/**
 * `fast` is what runs on every save: no external tool, no real Envoy. `contract` runs one suite on every implementation
 * of a port, real servers among them. `whole` needs `.tools/` and holds what talks to real counterparts; its files run one
 * after the other because they share two cores with the processes they start.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/architecture.test.ts', 'test/{unit,protocol,cases}/**/*.test.ts'],
          testTimeout: 30_000,
          // A process for each file is a third of the work; nothing in them is set for the whole process.
          pool: 'threads',
          isolate: false,
        },
      },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'whole',
          include: ['test/{e2e,scenarios,conformance,fault}/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
