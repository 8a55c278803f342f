/**
 * `npm test`: types, lint, then every vitest project, and as the very last line what came of it, alone:
 * `N passed, N failed, N skipped`. The types and the lint count as one test each. Exits with 1 if anything failed.
 * Arguments go to vitest and leave types and lint out: `npm test -- --project unit test/unit/log`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestCounts } from './count-reporter.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const bin = join(root, 'node_modules', '.bin');
const environment = { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` };
const total: TestCounts = { passed: 0, failed: 0, skipped: 0, reasons: {} };

function run(program: string, args: readonly string[], more: Record<string, string> = {}): boolean {
  const child = spawnSync(join(bin, program), args, { cwd: root, stdio: 'inherit', env: { ...environment, ...more } });
  if (child.error) console.error(`${program}: ${child.error.message}`);
  return child.status === 0;
}

function check(title: string, program: string, args: readonly string[]): void {
  const isGood = run(program, args);
  console.log(`${isGood ? '✓' : '✗'} ${title}`);
  if (isGood) total.passed += 1;
  else total.failed += 1;
}

function runVitest(args: readonly string[]): void {
  const directory = mkdtempSync(join(tmpdir(), 'cordwood-test-'));
  const file = join(directory, 'counts.json');
  const reporters = ['--reporter=default', '--reporter=./test/support/count-reporter.ts'];
  const isGood = run('vitest', ['run', '--passWithNoTests', ...reporters, ...args], { CORDWOOD_TEST_COUNTS: file });
  try {
    const counts = JSON.parse(readFileSync(file, 'utf8')) as TestCounts;
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    total.reasons = counts.reasons;
    // What vitest calls a failure must never end as "0 failed" here.
    if (!isGood && counts.failed === 0) total.failed += 1;
  } catch {
    console.error('vitest ended without a count');
    total.failed += 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const args = process.argv.slice(2);
if (args.length === 0) {
  check('types (tsc --noEmit)', 'tsc', ['--noEmit']);
  check('lint (biome check)', 'biome', ['check', '--error-on-warnings', '.']);
}
runVitest(args);
const reasons = Object.entries(total.reasons);
if (reasons.length > 0) console.log('skipped:');
for (const [reason, count] of reasons) console.log(`  ${count} × ${reason}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
