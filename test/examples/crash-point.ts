/** The place in an example where a crash hurts most. Only the test of the examples sets CRASH_AT: then it is kill -9. */
export function crashPoint(value: string): void {
  if (process.env.CRASH_AT === value) process.kill(process.pid, 'SIGKILL');
}
