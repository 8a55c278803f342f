/** Where does reading begin? `earliest`, `latest`, an offset, `-N` (the last N of each partition) or `@ms` (a time). */
import { CliError, exitCode } from '../exit-code.ts';

export type StartOffset =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'fromEnd'; readonly records: bigint }
  | { readonly kind: 'timestamp'; readonly ms: bigint };

export function parseStartOffset(text: string): StartOffset {
  if (text === 'earliest' || text === 'beginning' || text === 'start') return { kind: 'earliest' };
  if (text === 'latest' || text === 'end') return { kind: 'latest' };
  if (/^\d{1,18}$/.test(text)) return { kind: 'offset', offset: BigInt(text) };
  if (/^-\d{1,18}$/.test(text)) return { kind: 'fromEnd', records: BigInt(text.slice(1)) };
  if (/^@\d{1,18}$/.test(text)) return { kind: 'timestamp', ms: BigInt(text.slice(1)) };
  throw new CliError(`--offset ${text}: not earliest, latest, a number, -N or @milliseconds`, exitCode.usage);
}

/** Where a group begins that has no offset for a partition: as in `auto.offset.reset`, one end of the log or the other. */
export type ResetOffset = 'earliest' | 'latest';

export function parseResetOffset(text: string): ResetOffset {
  const { kind } = parseStartOffset(text);
  if (kind === 'earliest' || kind === 'latest') return kind;
  throw new CliError(
    `--offset ${text}: with --group it is earliest or latest (move a group with: cordwood group seek)`,
    exitCode.usage,
  );
}
