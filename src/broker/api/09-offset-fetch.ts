/**
 * OffsetFetch 1–10: what groups have committed. KIP-88 (2: all topics), KIP-447 (7: only what is stable), KIP-709 (8: several
 * groups), KIP-848 (9: member epochs), KIP-516 (10: topic ids).
 */
import type { AnswerTo, OffsetFetchRequest as Fetch } from '../../coordinator/group-requests.ts';
import { isRefused } from '../../coordinator/group-requests.ts';
import type { Fault } from '../../model/fault.ts';
import type { Item } from '../../wire/field.ts';
import { type OffsetFetchRequest, offsetFetchApi } from '../../wire/messages/09-offset-fetch.ts';
import { askGroups } from '../ask-groups.ts';
import { isFault, topicOf, zeroUuid } from '../cluster-view.ts';
import { errorCodeOf, offsetFetchErrorCode } from '../kafka-errors.ts';
import { type BrokerServices, closeConnection, type RequestContext, serve } from '../services.ts';

type Group = Item<OffsetFetchRequest['groups']>;

interface Position {
  readonly partitionIndex: number;
  readonly committedOffset: bigint;
  readonly committedLeaderEpoch: number;
  readonly metadata: string;
  readonly errorCode: number;
}

const codeOf = (fault: Fault): number => offsetFetchErrorCode(errorCodeOf(fault));

const nothing = (partitionIndex: number, fault: Fault | null): Position => ({
  partitionIndex,
  committedOffset: -1n,
  committedLeaderEpoch: -1,
  metadata: '',
  errorCode: fault === null ? 0 : codeOf(fault),
});

interface TopicAnswer {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly Position[];
}

interface GroupAnswer {
  readonly groupId: string;
  readonly topics: readonly TopicAnswer[];
  readonly errorCode: number;
}

async function fetchGroup(
  services: BrokerServices,
  group: Group,
  requireStable: boolean,
  { version, onDisconnect }: RequestContext,
): Promise<{ readonly fault: Fault | null; readonly topics: readonly TopicAnswer[] }> {
  const usesIds = version >= 10;
  const asked = group.topics?.map((topic) => ({
    topic,
    known: usesIds ? topicOf(services.image(), topic, true) : null,
  }));
  const wanted = asked?.flatMap(({ topic, known }) => {
    if (known !== null && isFault(known)) return [];
    return [{ topic: known?.record.name ?? topic.name, partitions: topic.partitionIndexes }];
  });
  const answer: AnswerTo<Fetch> = await services.groups.ask(
    {
      kind: 'offsetFetch',
      groupId: group.groupId,
      memberId: group.memberId,
      memberEpoch: group.memberEpoch,
      topics: wanted ?? null,
      requireStable,
    },
    onDisconnect,
  );
  if (isRefused(answer)) return { fault: answer.fault, topics: [] };
  const topics: TopicAnswer[] = [];
  for (const { topic: name, partitions } of answer.topics) {
    const topicId = services.image().topicByName(name)?.id ?? zeroUuid;
    // A topic that is gone has no id to be told by.
    if (usesIds && topicId === zeroUuid) continue;
    topics.push({
      name,
      topicId,
      partitions: partitions.map(({ partition, offset, leaderEpoch, metadata, fault }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: leaderEpoch,
        metadata,
        errorCode: fault === null ? 0 : errorCodeOf(fault),
      })),
    });
  }
  for (const { topic, known } of asked ?? [])
    if (known !== null && isFault(known))
      topics.push({
        name: topic.name,
        topicId: topic.topicId,
        partitions: topic.partitionIndexes.map((index) => nothing(index, known)),
      });
  return { fault: null, topics };
}

/**
 * An answer has no more metadata than this, in UTF-16 units. A partition takes 4 bytes to ask for and up to
 * `offset.metadata.max.bytes` to tell, each time it is asked for: 4 MB of request could be 4 GB of answer.
 */
const metadataLimit = 64 * 1024 * 1024;

const metadataLength = (topics: readonly TopicAnswer[]): number =>
  topics.reduce((sum, { partitions }) => partitions.reduce((inner, { metadata }) => inner + metadata.length, sum), 0);

const refused = ({ groupId }: Group, fault: Fault): GroupAnswer => ({ groupId, topics: [], errorCode: codeOf(fault) });

export const offsetFetch = serve(offsetFetchApi, async (services, request, context) => {
  const { requireStable } = request;
  if (context.version >= 8) {
    const seen = new Set<string>();
    const ask = async (group: Group): Promise<GroupAnswer> => {
      // A small request must not become an answer of many times a large group.
      if (seen.has(group.groupId))
        return refused(group, { code: 'INVALID_REQUEST', reason: 'the group is named twice' });
      seen.add(group.groupId);
      const { fault, topics } = await fetchGroup(services, group, requireStable, context);
      return fault === null ? { groupId: group.groupId, topics, errorCode: 0 } : refused(group, fault);
    };
    const groups = await askGroups(services.timers, request.groups, ask, {
      rowsOf: ({ topics }) => topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
      comeAgain: (group) => refused(group, { code: 'COORDINATOR_LOAD_IN_PROGRESS' }),
    });
    const length = groups.reduce((sum, { topics }) => sum + metadataLength(topics), 0);
    return length > metadataLimit ? closeConnection : { groups };
  }
  const group: Group = {
    groupId: request.groupId,
    memberId: null,
    memberEpoch: -1,
    topics: request.topics?.map((topic) => ({ ...topic, topicId: zeroUuid })) ?? null,
  };
  const { fault, topics } = await fetchGroup(services, group, requireStable, context);
  if (fault === null) return metadataLength(topics) > metadataLimit ? closeConnection : { topics, errorCode: 0 };
  // Version 1 has no place for an error but the partitions.
  const told = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((index) => nothing(index, fault)),
  }));
  return { topics: context.version >= 2 ? [] : told, errorCode: codeOf(fault) };
});
