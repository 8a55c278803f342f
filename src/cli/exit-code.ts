/** What does the exit code of `cordwood` say? Scripts branch on it, so these numbers never change their meaning. */
export const exitCode = {
  ok: 0,
  /** The cluster refused, or the work failed; the reason is on standard error. */
  failed: 1,
  /** The command line makes no sense: unknown option, missing argument, bad value. Nothing was done. */
  usage: 2,
  /** No broker could be reached. Nothing was done. */
  unreachable: 3,
  /** `produce`: some lines were acknowledged and some were not. */
  partly: 4,
  /** Ended by Ctrl-C before it was done. */
  interrupted: 130,
} as const;

/** Ends the program with a sentence for people and a code for scripts; no stack trace. */
export class CliError extends Error {
  override name = 'CliError';
  readonly code: number;
  constructor(message: string, code: number = exitCode.failed) {
    super(message);
    this.code = code;
  }
}
