/** Does the source keep the rules of the house? */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import {
  cycleProblems,
  deadFileProblems,
  globalProblems,
  importProblems,
  layoutProblems,
  moduleProblems,
  type Sources,
  wordProblems,
} from './rules.ts';

const root = join(import.meta.dirname, '../..');

function read(under: string, isWanted: (path: string) => boolean): Sources {
  const files = new Map<string, string>();
  for (const entry of readdirSync(join(root, under), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(root.length + 1);
    if (entry.isFile() && isWanted(path)) files.set(path, readFileSync(join(root, path), 'utf8'));
  }
  return files;
}

const source = read('src', (path) => /\.(ts|md)$/.test(path));
/** Where a run begins: the program. */
const entryPoints = ['src/cli/main.ts'];

test('imports follow the arrows between the rooms', () => assert.deepEqual(importProblems(source), []));
test('modules from outside are used in their rooms only', () => assert.deepEqual(moduleProblems(source), []));
test('clock, timers and chance are handed in', () => assert.deepEqual(globalProblems(source), []));
test('no files import each other in a circle', () => assert.deepEqual(cycleProblems(source), []));
/** Formats that are tested against Kafka's own bytes before coordinator/, which will import them, is there. */
const aheadOfUse = /^src\/wire\/records\//;
test('every file is reached from an entry point', () => {
  const problems = deadFileProblems(source, entryPoints).filter((problem) => !aheadOfUse.test(problem));
  assert.deepEqual(problems, []);
});
test('rooms have a README, files a purpose and a name in kebab-case', () =>
  assert.deepEqual(layoutProblems(source), []));

test('nothing speaks of somebody’s machine', () => {
  const texts = new Map<string, string>();
  const isText = (path: string): boolean =>
    /\.(ts|js|mjs|json|md|yml|yaml|proto|properties|sh)$|Dockerfile$/.test(path);
  // Recorded bytes say what others said; the rules name what they forbid.
  for (const folder of ['src', 'test', 'deploy', 'proto'])
    for (const [path, text] of read(folder, isText))
      if (!path.startsWith('test/conformance/vectors/') && path !== 'test/tidy/rules.ts') texts.set(path, text);
  for (const path of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'package.json', 'docker-compose.yml'])
    if (existsSync(join(root, path))) texts.set(path, readFileSync(join(root, path), 'utf8'));
  assert.deepEqual(wordProblems(texts), []);
});
