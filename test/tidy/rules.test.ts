/** Each rule catches what it is there for, and lets pass what looks like it. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  cycleProblems,
  deadFileProblems,
  globalProblems,
  importProblems,
  layoutProblems,
  moduleProblems,
  wordProblems,
} from './rules.ts';
import { importsOf, tokensOf } from './source-tokens.ts';

const sources = (files: Record<string, string>): Map<string, string> => new Map(Object.entries(files));

test('imports are found in every form, and not in comments, strings, templates or regular expressions', () => {
  const text = `
    import a from './a.ts'; import type { B } from "./b.ts"; import './c.ts'; export * from './d.ts';
    export type { E } from './e.ts'; const f = await import('./f.ts'); type G = typeof import('./g.ts');
    // import x from './no-1.ts'
    /* import './no-2.ts' */
    const s = "import y from './no-3.ts'"; const t = \`\${ await import('./h.ts') } import './no-4.ts'\`;
    const r = /'/; const q = a / b; import i from './i.ts'; const u = { v: /"/g.test("'") };
    export { k } from './k.ts';`;
  const found = importsOf(tokensOf(text)).map(({ specifier }) => specifier);
  assert.deepEqual(
    found,
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'k'].map((name) => `./${name}.ts`),
  );
});

const arrowCases = [
  ['log', 'records', true],
  ['log', 'model', true],
  ['broker', 'log', true],
  ['broker', 'wire', true],
  ['cli', 'env/node', true],
  ['env/node', 'env', true],
  ['records', 'log', false],
  ['replication', 'controller', false],
  ['controller', 'coordinator', false],
  ['wire', 'records', false],
  ['cluster', 'wire', false],
  ['console', 'broker', false],
  ['cluster', 'broker', false],
  ['model', 'env', false],
  ['broker', 'env/node', false],
  ['env', 'env/node', false],
] as const;

for (const [from, to, isAllowed] of arrowCases)
  test(`${from}/ ${isAllowed ? 'may' : 'must not'} import ${to}/, types included`, () => {
    const depth = '../'.repeat(from.split('/').length);
    const problems = importProblems(
      sources({
        [`src/${from}/a.ts`]: `import type { B } from '${depth}${to}/b.ts';`,
        [`src/${to}/b.ts`]: 'export interface B {}',
      }),
    );
    assert.equal(problems.length, isAllowed ? 0 : 1, problems.join('\n'));
  });

test('an import out of src/ or of a file that is not there is a problem', () => {
  const problems = importProblems(
    sources({
      'src/log/a.ts': "import '../../test/b.ts';\nimport './c.ts';\nimport '../model/d';",
      'src/model/d.ts': '',
    }),
  );
  assert.deepEqual(
    problems.map((problem) => problem.split(' ')[0]),
    ['src/log/a.ts:1:', 'src/log/a.ts:2:', 'src/log/a.ts:3:'],
  );
});

const globalCases = [
  'const t = Date.now();',
  'const t = new Date();',
  'const t = performance.now();',
  'setTimeout(f, 1);',
  'globalThis.setInterval(f, 1);',
  'const x = Math.random();',
  "import { randomUUID } from 'node:crypto';",
  'const t = process.hrtime.bigint();',
];

for (const text of globalCases)
  test(`outside of env/node this is banned: ${text}`, () => {
    assert.equal(globalProblems(sources({ 'src/broker/a.ts': text })).length, 1);
    assert.equal(globalProblems(sources({ 'src/env/node/a.ts': text })).length, 0);
  });

test('a clock in a comment, a string or with an argument is no clock', () => {
  const text = '// Date.now()\nconst a = "Date.now()"; const b = new Date(wallMs); const c = timers.setTimer(1, f);';
  assert.deepEqual(globalProblems(sources({ 'src/log/a.ts': text })), []);
});

const moduleCases = [
  ["import 'node:fs';", 'log', false],
  ["import 'fs';", 'log', false],
  ["import type { Socket } from 'node:net';", 'broker', false],
  ["import 'node:net';", 'env/node', true],
  ["import '@grpc/grpc-js';", 'broker', false],
  ["import '@grpc/grpc-js';", 'cluster', true],
  ["import 'node:sqlite';", 'controller', false],
  ["await import('kafkajs');", 'cli', true],
  ["import 'left-pad';", 'cli', false],
] as const;

for (const [text, room, isAllowed] of moduleCases)
  test(`in ${room}/ this is ${isAllowed ? 'allowed' : 'banned'}: ${text}`, () => {
    assert.equal(moduleProblems(sources({ [`src/${room}/a.ts`]: text })).length, isAllowed ? 0 : 1);
  });

test('a cycle of three files is found once, types included', () => {
  const problems = cycleProblems(
    sources({
      'src/log/a.ts': "import './b.ts';",
      'src/log/b.ts': "import type { C } from './c.ts';",
      'src/log/c.ts': "export * from './a.ts';",
      'src/log/d.ts': "import './a.ts';",
    }),
  );
  assert.deepEqual(problems, [
    'src/log/a.ts:1: import cycle src/log/a.ts → src/log/b.ts → src/log/c.ts → src/log/a.ts',
  ]);
});

test('files that only import each other are dead', () => {
  const problems = deadFileProblems(
    sources({
      'src/cli/main.ts': "await import('./dev.ts');",
      'src/cli/dev.ts': '',
      'src/cli/old.ts': "import './older.ts';",
      'src/cli/older.ts': '',
    }),
    ['src/cli/main.ts'],
  );
  assert.deepEqual(
    problems.map((problem) => problem.split(':')[0]),
    ['src/cli/old.ts', 'src/cli/older.ts'],
  );
});

test('barrels, names in camel case, files without a word on top and rooms without README are problems', () => {
  const problems = layoutProblems(
    sources({ 'src/log/index.ts': '/** x */', 'src/log/LogFile.ts': '// x', 'src/log/bare.ts': 'export const x = 1;' }),
  );
  assert.equal(problems.length, 4, problems.join('\n'));
});

test('words of a workplace and promises without a number are problems', () => {
  const shared = ['..', 'shared'].join('/');
  const problems = wordProblems(
    sources({ 'README.md': `see ${shared}/design.md`, 'src/a.ts': ['// TO', 'DO: later'].join('') }),
  );
  assert.equal(problems.length, 2);
});
