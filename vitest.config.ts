import { defineConfig } from 'vitest/config';

/** One project per kind of test; `npm run check` takes the fast ones, `npm test` all of them. */
const project = (name: string, testTimeout: number, extra: object = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: Math.max(testTimeout, 60_000),
    execArgv: ['--disable-warning=ExperimentalWarning'],
    ...extra,
  },
});
const alone = { fileParallelism: false };

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    passWithNoTests: true,
    projects: [
      project('tidy', 30_000),
      project('unit', 20_000),
      project('contract', 60_000),
      project('simulation', 300_000),
      project('fuzz', 120_000, alone),
      project('conformance', 180_000, alone),
      project('integration', 180_000, alone),
      project('chaos', 600_000, alone),
    ],
  },
});
