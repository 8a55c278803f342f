/**
 * ListOffsets 1–11: offsets by timestamp, and the named places of a partition. KIP-734 (7: -3 max timestamp),
 * KIP-405 (8: -4 earliest local), KIP-1005 (9: -5 latest tiered), 11: -6 earliest pending upload.
 * Nothing is tiered here: -4 is the log start, -5 and -6 have no answer but -1.
 */
import { noLeaderEpoch } from '../../model/brands.ts';
import { BrokerError } from '../../model/fault.ts';
import type { Item } from '../../wire/field.ts';
import {
  type ListOffsetsRequest,
  type ListOffsetsResponseInput,
  listOffsetsApi,
} from '../../wire/messages/02-list-offsets.ts';
import { errorCodeOf, errorCodeOfException, listOffsetsErrorCode } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';
import { noReplicaFault } from './00-produce.ts';

type Topic = Item<ListOffsetsRequest['topics']>;
type Partition = Item<Topic['partitions']>;
type PartitionAnswer = Item<Item<ListOffsetsResponseInput['topics']>['partitions']>;

const latest = -1n;
const earliest = -2n;
const maxTimestamp = -3n;
const earliestLocal = -4n;
const latestTiered = -5n;
const earliestPendingUpload = -6n;
/** The version that first knows each named place. */
const since = new Map([
  [latest, 0],
  [earliest, 0],
  [maxTimestamp, 7],
  [earliestLocal, 8],
  [latestTiered, 9],
  [earliestPendingUpload, 11],
]);

interface Found {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}
const nothing: Found = { offset: -1, timestamp: -1, leaderEpoch: noLeaderEpoch };

async function find(services: BrokerServices, topic: Topic, asked: Partition, version: number): Promise<Found> {
  const known = services.image().topicByName(topic.name);
  const replica = known && (await services.replicas.find(known.id, asked.partitionIndex));
  if (!replica) throw new BrokerError(noReplicaFault(services, known, asked.partitionIndex));
  const firstVersion = since.get(asked.timestamp);
  if (asked.timestamp < 0n && (firstVersion === undefined || version < firstVersion))
    throw new BrokerError({ code: 'UNSUPPORTED_VERSION', reason: `timestamp ${asked.timestamp}` });
  replica.checkLeaderEpoch(asked.currentLeaderEpoch);
  const leader = await replica.leading();
  replica.checkLeaderEpoch(asked.currentLeaderEpoch);
  const { log } = replica;
  switch (asked.timestamp) {
    case latest:
      // A reader may have seen a higher one before the election (I12).
      if (!leader.isOffsetAvailable) throw new BrokerError({ code: 'OFFSET_NOT_AVAILABLE' });
      return { offset: leader.highWatermark, timestamp: -1, leaderEpoch: leader.leaderEpoch };
    case earliest:
    case earliestLocal:
      return { offset: log.logStartOffset, timestamp: -1, leaderEpoch: log.epochs.epochAt(log.logStartOffset) };
    case latestTiered:
    case earliestPendingUpload:
      return nothing;
    default: {
      const found =
        asked.timestamp === maxTimestamp
          ? await log.maxTimestampOffset()
          : await log.offsetForTimestamp(Number(asked.timestamp));
      if (!found) return nothing;
      if (found.offset < leader.highWatermark)
        return { offset: found.offset, timestamp: found.timestampMs, leaderEpoch: found.leaderEpoch };
      // What is not committed is not there for a reader; but what an earlier leader committed is, and this one may not
      // know it yet (Kafka's Partition.fetchOffsetForTimestamp).
      if (!leader.isOffsetAvailable) throw new BrokerError({ code: 'OFFSET_NOT_AVAILABLE' });
      return nothing;
    }
  }
}

async function answerOne(
  services: BrokerServices,
  topic: Topic,
  asked: Partition,
  isRepeated: boolean,
  { version }: RequestContext,
): Promise<PartitionAnswer> {
  const { partitionIndex } = asked;
  if (isRepeated) return { partitionIndex, errorCode: errorCodeOf({ code: 'INVALID_REQUEST', reason: 'asked twice' }) };
  try {
    const { offset, timestamp, leaderEpoch } = await find(services, topic, asked, version);
    return { partitionIndex, errorCode: 0, offset, timestamp, leaderEpoch };
  } catch (error) {
    return { partitionIndex, errorCode: listOffsetsErrorCode(errorCodeOfException(error, services.logger), version) };
  }
}

export const listOffsets = serve(listOffsetsApi, async (services, request, context) => ({
  topics: await Promise.all(
    request.topics.map(async (topic) => {
      const times = new Map<number, number>();
      for (const { partitionIndex } of topic.partitions)
        times.set(partitionIndex, (times.get(partitionIndex) ?? 0) + 1);
      return {
        name: topic.name,
        partitions: await Promise.all(
          topic.partitions.map((asked) =>
            answerOne(services, topic, asked, (times.get(asked.partitionIndex) ?? 0) > 1, context),
          ),
        ),
      };
    }),
  ),
}));
