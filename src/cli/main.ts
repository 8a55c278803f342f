#!/usr/bin/env -S node --disable-warning=ExperimentalWarning --initial-old-space-size=256
/** Where does `cordwood` begin, and how does it end? Every error becomes one sentence and an exit code. */
import { createRequire, enableCompileCache } from 'node:module';
import { CliError, exitCode } from './exit-code.ts';

const oldestNode = 24;
if (Number(process.versions.node.split('.')[0]) < oldestNode) {
  process.stderr.write(`cordwood needs Node ${oldestNode} or newer; this is ${process.versions.node}\n`);
  process.exit(exitCode.usage);
}
// Compiled code of earlier runs: about a third of the start-up time of commands that load the Kafka client.
enableCompileCache();

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
const { buildProgram } = await import('./program.ts');

/** A broken assumption shows where it broke; everything else is a sentence for people. */
const isBug = (error: Error): boolean =>
  error.name === 'AssertionError' ||
  [TypeError, ReferenceError, SyntaxError, RangeError].some((kind) => error instanceof kind);

// `cordwood … | head` closes our output: that is an end like any other. A full disk is not.
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') return;
  process.stderr.write(`cordwood: standard output: ${message}\n`);
  process.exitCode = exitCode.failed;
});

try {
  await buildProgram(version).parseAsync();
  process.exitCode ??= exitCode.ok;
} catch (error) {
  const failure = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(`cordwood: ${isBug(failure) ? failure.stack : failure.message}\n`);
  process.exitCode = failure instanceof CliError ? failure.code : exitCode.failed;
}
// Nothing may keep the program alive from here on: an abandoned connection, a timer of the Kafka client.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
