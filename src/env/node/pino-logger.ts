/**
 * How does a log line look to a program? One JSON object a line, by pino: `time` (ISO 8601), `level` as a word, the
 * fields, `msg`; an error under `err` with its stack. Loading pino takes about 10 ms, so the commands that talk to
 * people do without.
 */
import { pino } from 'pino';
import type { Logger } from '../logger.ts';
import type { LogLevel } from './log-level.ts';

/** Written synchronously to standard output: the last line before a crash is the one that matters. */
export const createPinoLogger = (level: LogLevel): Logger =>
  pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
