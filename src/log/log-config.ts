/** What a partition's log needs of its topic's configuration; Kafka's names in camel case, units last. */
import type { Codec } from '../records/compression.ts';

export interface LogConfig {
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly indexIntervalBytes: number;
  readonly segmentIndexBytes: number;
  readonly maxMessageBytes: number;
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime';
  readonly messageTimestampBeforeMaxMs: number;
  readonly messageTimestampAfterMaxMs: number;
  /** 'producer' keeps the codec each batch was sent in; 'uncompressed' is Kafka's word for none. */
  readonly compressionType: 'producer' | 'uncompressed' | Exclude<Codec, 'none'>;
  readonly cleanupPolicy: { readonly compact: boolean; readonly delete: boolean };
  /** How long a tombstone stays after it was first cleaned. */
  readonly deleteRetentionMs: number;
  /** The share of the log's bytes that are not cleaned yet from which on it is; 0 to 1. */
  readonly minCleanableDirtyRatio: number;
  readonly producerIdExpirationMs: number;
  /** An fsync before the answer once so many records wait for one; null for never. */
  readonly flushMessages: number | null;
  /** An fsync at the latest so long after an append; null for every second. */
  readonly flushMs: number | null;
  /** 'group-commit': every answer waits for an fsync, one for all that wait. 'background': none does. */
  readonly flushPolicy: 'background' | 'group-commit';
}

/** How long an append stays unsynced where `flush.ms` does not say. */
export const defaultFlushMs = 1_000;
