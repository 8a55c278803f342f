/**
 * Where does `cordwood group seek` put a group? The target, as one of the `--to-…` options says, becomes an offset for
 * each partition, moved into the log where it lies outside:
 *
 *     target              | partition with a committed offset      | without one
 *     --to-earliest       | log start                              | the same
 *     --to-latest         | log end                                | the same
 *     --to-offset N       | N                                      | the same
 *     --to-datetime T     | first record at or after T, or log end | the same
 *     --shift-by N        | committed + N                          | left alone
 *     --to-current        | committed                              | left alone
 */
import type { NamedPartition } from '../client/named-partition.ts';
import { CliError, exitCode } from '../exit-code.ts';

export type SeekTarget =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'current' }
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'datetime'; readonly ms: bigint }
  | { readonly kind: 'shift'; readonly by: bigint };

/** The options as the command line has them; exactly one is to be given. */
export interface SeekTargetOptions {
  readonly toEarliest?: boolean;
  readonly toLatest?: boolean;
  readonly toCurrent?: boolean;
  readonly toOffset?: number;
  readonly toDatetime?: string;
  readonly shiftBy?: number;
}

export function seekTargetOf(options: SeekTargetOptions): SeekTarget {
  const targets: SeekTarget[] = [];
  if (options.toEarliest) targets.push({ kind: 'earliest' });
  if (options.toLatest) targets.push({ kind: 'latest' });
  if (options.toCurrent) targets.push({ kind: 'current' });
  if (options.toOffset !== undefined) targets.push({ kind: 'offset', offset: BigInt(options.toOffset) });
  if (options.toDatetime !== undefined) targets.push({ kind: 'datetime', ms: parseDatetime(options.toDatetime) });
  if (options.shiftBy !== undefined) targets.push({ kind: 'shift', by: BigInt(options.shiftBy) });
  const [target, ...more] = targets;
  if (target === undefined || more.length > 0)
    throw new CliError(
      `${target === undefined ? 'none' : 'more than one'} of --to-earliest, --to-latest, --to-offset, --to-datetime, --shift-by and --to-current was given; it must be exactly one`,
      exitCode.usage,
    );
  return target;
}

const isoForm = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** ISO 8601 → milliseconds since 1970. Without a zone it is UTC, as in kafka-consumer-groups, not the zone of the machine. */
export function parseDatetime(text: string): bigint {
  const match = isoForm.exec(text);
  const hasTime = text.includes('T');
  const ms = match === null ? Number.NaN : Date.parse(hasTime && match[1] === undefined ? `${text}Z` : text);
  if (Number.isNaN(ms) || !isDay(text.slice(0, 10)))
    throw new CliError(
      `--to-datetime ${text}: not a time such as 2026-01-31T12:00:00Z, 2026-01-31T12:00+01:00 or 2026-01-31`,
      exitCode.usage,
    );
  return BigInt(ms);
}

/** JavaScript takes the 30th of February for the 2nd of March. */
const isDay = (date: string): boolean => new Date(`${date}T00:00Z`).toISOString().startsWith(date);

export interface PartitionState extends NamedPartition {
  /** Null where the group has none. */
  readonly committedOffset: bigint | null;
  readonly logStartOffset: bigint;
  /** Exclusive. */
  readonly logEndOffset: bigint;
  /** For `datetime` only: of the first record at or after that time; -1 where there is none. */
  readonly offsetAtTime?: bigint;
}

export interface SeekStep extends NamedPartition {
  readonly from: bigint | null;
  /** What is to be committed; null where the partition is left alone. */
  readonly to: bigint | null;
  /** What the user should know about it. */
  readonly note: string | null;
}

/** One step per partition, in the given order. */
export const planSeek = (target: SeekTarget, partitions: readonly PartitionState[]): SeekStep[] =>
  partitions.map((state) => {
    const { topic, partition, committedOffset: from, logStartOffset, logEndOffset } = state;
    const wanted = wantedOffset(target, state);
    if (wanted === null) return { topic, partition, from, to: null, note: 'left alone: it has no committed offset' };
    if (wanted < logStartOffset) return { topic, partition, from, to: logStartOffset, note: before(wanted) };
    if (wanted > logEndOffset) return { topic, partition, from, to: logEndOffset, note: beyond(wanted) };
    const isTooLate = target.kind === 'datetime' && (state.offsetAtTime ?? -1n) < 0n;
    return { topic, partition, from, to: wanted, note: isTooLate ? 'no record is that young: the log end' : null };
  });

const before = (wanted: bigint): string => `${wanted} is before the log: its start`;
const beyond = (wanted: bigint): string => `${wanted} is beyond the log: its end`;

function wantedOffset(target: SeekTarget, state: PartitionState): bigint | null {
  switch (target.kind) {
    case 'earliest':
      return state.logStartOffset;
    case 'latest':
      return state.logEndOffset;
    case 'current':
      return state.committedOffset;
    case 'offset':
      return target.offset;
    case 'datetime': {
      const found = state.offsetAtTime ?? -1n;
      return found < 0n ? state.logEndOffset : found;
    }
    case 'shift':
      return state.committedOffset === null ? null : state.committedOffset + target.by;
  }
}
