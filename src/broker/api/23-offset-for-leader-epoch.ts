/** OffsetForLeaderEpoch 2–4: where an epoch's records end, for consumers that check for truncation (KIP-320). */
import { leaderEpoch } from '../../model/brands.ts';
import { BrokerError } from '../../model/fault.ts';
import type { Item } from '../../wire/field.ts';
import {
  type OffsetForLeaderEpochRequest,
  offsetForLeaderEpochApi,
} from '../../wire/messages/23-offset-for-leader-epoch.ts';
import { errorCodeOfException } from '../kafka-errors.ts';
import { type BrokerServices, serve } from '../services.ts';
import { noReplicaFault } from './00-produce.ts';

type Topic = Item<OffsetForLeaderEpochRequest['topics']>;

async function answerOne(services: BrokerServices, name: string, asked: Item<Topic['partitions']>) {
  const { partition } = asked;
  try {
    const topic = services.image().topicByName(name);
    const replica = topic && (await services.replicas.find(topic.id, partition));
    if (!replica) throw new BrokerError(noReplicaFault(services, topic, partition));
    replica.checkLeaderEpoch(asked.currentLeaderEpoch);
    const leader = await replica.leading();
    replica.checkLeaderEpoch(asked.currentLeaderEpoch);
    const { log } = replica;
    // Above all known epochs, and not the current one: nothing is known (Kafka: LeaderEpochFileCache.endOffsetFor).
    if (asked.leaderEpoch < 0 || asked.leaderEpoch > leader.leaderEpoch)
      return { partition, errorCode: 0, leaderEpoch: -1, endOffset: -1n };
    const { epoch, endOffset } = log.epochs.endFor(
      leaderEpoch(asked.leaderEpoch),
      log.logEndOffset,
      log.logStartOffset,
    );
    return { partition, errorCode: 0, leaderEpoch: epoch, endOffset };
  } catch (error) {
    return { partition, errorCode: errorCodeOfException(error, services.logger), leaderEpoch: -1, endOffset: -1n };
  }
}

export const offsetForLeaderEpoch = serve(offsetForLeaderEpochApi, async (services, request) => ({
  topics: await Promise.all(
    request.topics.map(async ({ topic, partitions }) => ({
      topic,
      partitions: await Promise.all(partitions.map((asked) => answerOne(services, topic, asked))),
    })),
  ),
}));
