/**
 * Where do partitions begin and end, and which record came at a time? ListOffsets to each partition's leader, and again
 * where leadership moves meanwhile.
 */
import * as kafka from '@platformatic/kafka';
import type { Timers } from '../../env/clock.ts';
import { pause } from '../../env/pause.ts';
import { CliError } from '../exit-code.ts';
import { errorName, type KafkaClient, reasonOf } from './kafka-client.ts';
import { type NamedPartition, partitionName, perTopic } from './named-partition.ts';

/** ListOffsets' timestamps that are no times. The end is the high watermark: nobody can read further. */
export const logStart = -2n;
export const logEnd = -1n;

/** Why there is no offset, in words; or the offset, -1 where no record is as young as was asked. */
export type OffsetFound = { readonly offset: bigint } | { readonly reason: string };

/** Leadership that is elsewhere, or nowhere yet: ask for metadata and come again. */
export const movingErrors: ReadonlySet<number> = new Set([3, 5, 6, 9, 56, 74, 75, 76, 78, 100, 103]);
const unknownTopic = 3;
const retryMs = 100;
const maxTries = 50;

export interface OffsetModules {
  readonly client: Pick<KafkaClient, 'metadata' | 'request'>;
  readonly timers: Timers;
}

/** By the name of the partition; `timestamp` is `logStart`, `logEnd` or milliseconds since 1970. */
export async function listOffsets(
  { client, timers }: OffsetModules,
  partitions: readonly NamedPartition[],
  timestamp: bigint,
): Promise<ReadonlyMap<string, OffsetFound>> {
  const found = new Map<string, OffsetFound>();
  const say = (one: NamedPartition, what: OffsetFound): unknown => found.set(partitionName(one), what);
  let open = partitions;
  for (let tries = 0; open.length > 0 && tries < maxTries; tries += 1) {
    if (tries > 0) await pause(timers, retryMs);
    const { topics } = await client.metadata([...new Set(open.map(({ topic }) => topic))]);
    const again: NamedPartition[] = [];
    const perLeader = new Map<number, NamedPartition[]>();
    for (const one of open) {
      const topic = topics.find(({ name }) => name === one.topic);
      const leaderId = topic?.partitions.find(({ partitionIndex }) => partitionIndex === one.partition)?.leaderId ?? -1;
      // A topic that is not there will not come; a partition without a leader will have one.
      if (topic?.errorCode === unknownTopic) say(one, { reason: errorName(unknownTopic) });
      else if (leaderId >= 0) perLeader.set(leaderId, [...(perLeader.get(leaderId) ?? []), one]);
      else {
        say(one, { reason: 'the partition has no leader' });
        again.push(one);
      }
    }
    await Promise.all([...perLeader].map(async ([nodeId, all]) => again.push(...(await ask(nodeId, all)))));
    open = again;
  }
  return found;

  /** The partitions to ask for again. */
  async function ask(nodeId: number, all: readonly NamedPartition[]): Promise<readonly NamedPartition[]> {
    const shape = ({ partition }: NamedPartition) => ({
      partitionIndex: partition,
      currentLeaderEpoch: -1,
      timestamp,
    });
    let answer: kafka.listOffsetsV9.ListOffsetsResponse;
    try {
      answer = await client.request(nodeId, kafka.listOffsetsV9.api, -1, 0, perTopic(all, shape));
    } catch (error) {
      for (const one of all) say(one, { reason: reasonOf(error) });
      return all;
    }
    const moved: NamedPartition[] = [];
    for (const { name: topic, partitions } of answer.topics)
      for (const { partitionIndex: partition, errorCode, offset } of partitions) {
        say({ topic, partition }, errorCode === 0 ? { offset } : { reason: errorName(errorCode) });
        if (movingErrors.has(errorCode)) moved.push({ topic, partition });
      }
    return moved;
  }
}

/** The same where every partition must have an answer; throws what is wrong with the first that has none. */
export async function listKnownOffsets(
  modules: OffsetModules,
  partitions: readonly NamedPartition[],
  timestamp: bigint,
): Promise<ReadonlyMap<string, bigint>> {
  const found = await listOffsets(modules, partitions, timestamp);
  return new Map(
    partitions.map((one) => {
      const name = partitionName(one);
      const answer = found.get(name) ?? { reason: 'the leader did not say' };
      if ('reason' in answer) throw new CliError(`${name}: ${answer.reason}`);
      return [name, answer.offset];
    }),
  );
}
