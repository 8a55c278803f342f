/**
 * How does a log line look to a person at a terminal? One line: time, level where it matters, sentence, then the fields
 * as key=value. Programs get JSON from `pino-logger.ts`.
 */
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { type LogLevel, logLevels } from './log-level.ts';

export interface HumanLoggerOptions {
  readonly level: LogLevel;
  /** Whether to use ANSI colours. */
  readonly hasColour: boolean;
}

const labels: Record<LogLevel, string> = { debug: 'debug ', info: '', warn: 'warning: ', error: 'error: ' };
const colours: Record<LogLevel, string> = { debug: '2', info: '0', warn: '33', error: '31' };

function textOf(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'bigint') return String(value);
  return JSON.stringify(value) ?? String(value);
}

export function createHumanLogger(options: HumanLoggerOptions, clock: Clock, write: (line: string) => void): Logger {
  const lowest = logLevels.indexOf(options.level);
  const paint = (code: string, text: string): string => (options.hasColour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const make = (inherited: object): Logger => {
    const log = (level: LogLevel) => (fields: object, message: string) => {
      if (logLevels.indexOf(level) < lowest) return;
      const time = new Date(clock.wallMs()).toTimeString().slice(0, 8);
      const facts = Object.entries({ ...inherited, ...fields })
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => ` ${name}=${textOf(value)}`)
        .join('');
      write(`${paint('2', time)} ${paint(colours[level], labels[level] + message)}${paint('2', facts)}\n`);
    };
    return {
      debug: log('debug'),
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
      child: (fields) => make({ ...inherited, ...fields }),
    };
  };
  return make({});
}
