/**
 * Attach requests that came before this broker could answer them: of a leader epoch that its metadata does not show yet,
 * or while its replica changes its role. They wait by partition, at most one of each stream, until the follower takes
 * its request back.
 */
import { partitionKey } from '../model/topic-partition.ts';
import type { AttachMessage, LeaderSession } from './leader-session.ts';

export interface EarlyAttach {
  readonly session: LeaderSession;
  readonly message: AttachMessage;
}

export class EarlyAttaches {
  readonly #byPartition = new Map<string, Map<number, EarlyAttach>>();
  /** By stream and attachId: the partition it waits for. */
  readonly #partitions = new Map<number, Map<number, string>>();

  /** In place of an older one of the same stream for the partition. */
  add(early: EarlyAttach): void {
    const { session, message } = early;
    const { streamId } = session;
    const partition = partitionKey(message.topicId, message.partition);
    this.dropOlder(session, message);
    entryOf(this.#byPartition, partition).set(streamId, early);
    entryOf(this.#partitions, streamId).set(message.attachId, partition);
  }

  /** A newer request of the same stream for the partition is here. */
  dropOlder({ streamId }: LeaderSession, { topicId, partition }: AttachMessage): void {
    const older = this.#byPartition.get(partitionKey(topicId, partition))?.get(streamId);
    if (older) this.drop(streamId, older.message.attachId);
  }

  /** The follower has taken its request back. */
  drop(streamId: number, attachId: number): void {
    const partition = this.#partitions.get(streamId)?.get(attachId);
    if (partition === undefined) return;
    removeFrom(this.#partitions, streamId, attachId);
    removeFrom(this.#byPartition, partition, streamId);
  }

  dropStream(streamId: number): void {
    for (const attachId of [...(this.#partitions.get(streamId)?.keys() ?? [])]) this.drop(streamId, attachId);
  }

  /** Those that wait for a partition; they wait no longer. */
  take(partition: string): EarlyAttach[] {
    const taken = [...(this.#byPartition.get(partition)?.values() ?? [])];
    for (const { session, message } of taken) this.drop(session.streamId, message.attachId);
    return taken;
  }
}

function entryOf<Key, Inner, Value>(map: Map<Key, Map<Inner, Value>>, key: Key): Map<Inner, Value> {
  const known = map.get(key);
  if (known) return known;
  const fresh = new Map<Inner, Value>();
  map.set(key, fresh);
  return fresh;
}

function removeFrom<Key, Inner, Value>(map: Map<Key, Map<Inner, Value>>, key: Key, inner: Inner): void {
  const known = map.get(key);
  known?.delete(inner);
  if (known?.size === 0) map.delete(key);
}
