/**
 * How many tests passed, failed and were skipped, and why were they skipped? Vitest's own summary counts per project and
 * hides the reasons; this reporter leaves one JSON object in the file named by CORDWOOD_TEST_COUNTS for `run-tests.ts`.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
  /** Reason of a skip → how many tests gave it. */
  reasons: Record<string, number>;
}

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    // An error outside of any test (a module that does not load, a promise nobody awaited) is a failure too.
    const counts: TestCounts = { passed: 0, failed: unhandled.length, skipped: 0, reasons: {} };
    for (const module of modules) {
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') counts.passed += 1;
        else if (result.state === 'failed') counts.failed += 1;
        else {
          counts.skipped += 1;
          const reason = (result.state === 'skipped' && result.note) || test.fullName;
          counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
        }
      }
      // A failing beforeAll leaves its tests pending: without this the run would look like one of skips only.
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    }
    const file = process.env.CORDWOOD_TEST_COUNTS;
    if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
  }
}
