import assert from 'node:assert/strict';
import { test } from 'vitest';
import { createHumanLogger } from '../../../../src/env/node/human-logger.ts';
import type { LogLevel } from '../../../../src/env/node/log-level.ts';

function logged(level: LogLevel, use: (logger: ReturnType<typeof createHumanLogger>) => void): string[] {
  const lines: string[] = [];
  const clock = { wallMs: () => new Date(2026, 0, 2, 3, 4, 5).getTime(), monotonicMs: () => 0 };
  use(createHumanLogger({ level, hasColour: false }, clock, (line) => lines.push(line)));
  return lines;
}

test('a line is the time, the sentence and the fields', () => {
  const lines = logged('info', (logger) => logger.info({ broker: 1, topic: 'orders' }, 'created'));
  assert.deepEqual(lines, ['03:04:05 created broker=1 topic=orders\n']);
});

test('fields of the parent come first, and what a field overrides is left out', () => {
  const lines = logged('info', (logger) => logger.child({ broker: 1, at: 'a' }).info({ at: 'b' }, 'x'));
  assert.deepEqual(lines, ['03:04:05 x broker=1 at=b\n']);
});

test('a value that is no plain word is quoted, and an error is its message', () => {
  const lines = logged('info', (logger) => logger.error({ why: 'two words\n', err: new Error('no disk') }, 'failed'));
  assert.deepEqual(lines, ['03:04:05 error: failed why="two words\\n" err="no disk"\n']);
});

test('what lies below the level is not written', () => {
  const lines = logged('warn', (logger) => {
    logger.debug({}, 'd');
    logger.info({}, 'i');
    logger.warn({}, 'w');
  });
  assert.deepEqual(lines, ['03:04:05 warning: w\n']);
});
