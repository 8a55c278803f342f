/** The faults of a group coordinator (replication-invariants §1 I38, I39; §5 C11, C13), as `deliberate-faults.ts` has others. */
import type { GroupStep } from '../../../src/coordinator/group.ts';
import { type GroupRequest, isRefused } from '../../../src/coordinator/group-requests.ts';
import type { DeliberateFault } from '../deliberate-fault.ts';
import type { SimulatedShard } from './simulated-coordinator.ts';
import type { SimulatedGroups } from './simulated-groups.ts';

const aim = { hasGroups: true };

/** Leaders are replaced, soon, while their followers reach them and they hear of nothing. */
const strandedLeaders: DeliberateFault['aim'] = {
  ...aim,
  kinds: ['strandLeader', 'strandLeader', 'healNetwork'],
  everyMs: 2_000,
  control: { fenceUnreachableAfterMs: 1_000 },
};
const strandedBelowMinIsr: DeliberateFault['aim'] = {
  ...aim,
  minIsr: 2,
  kinds: ['strandLeader', 'strandLeader', 'kill', 'kill', 'kill', 'healNetwork'],
  everyMs: 1_000,
  control: { suspectAfterMs: 200, fenceAfterMs: 600, fenceUnreachableAfterMs: 600 },
};
/** Schedules in which nobody may be told what is old, without any fault. */
export const strandedSchedules: readonly DeliberateFault[] = [
  { name: 'stranded-leaders', aim: strandedLeaders },
  { name: 'stranded-leaders-below-min-isr', aim: strandedBelowMinIsr },
  {
    name: 'stranded-leaders-slow-messages',
    aim: { ...strandedLeaders, network: { spikeChance: 0.2, spikeMs: 2_000 } },
  },
];

export const groupFaults: readonly DeliberateFault[] = [
  { name: '16-old-generation-commits', aim, groupRequest: inTheNewestGeneration },
  {
    name: '17-serves-before-loaded',
    aim,
    coordinatorEvent(event, { replica }) {
      if (event.kind !== 'recordsRead') return event;
      return { ...event, nextOffset: replica.leaderState?.leaderEpochStartOffset ?? event.nextOffset };
    },
  },
  {
    name: '18-serves-what-is-not-committed',
    aim,
    coordinatorEvent: (event) => (event.kind === 'elected' ? { ...event, highWatermark: event.logEndOffset } : event),
  },
  { name: '19-tells-before-committed', aim, tellsBeforeCommitted: true },
  {
    name: '20-offsets-expire-under-rebalance',
    aim,
    groupShard: (shard, groups) => ({
      handle: (request, requestId, now) => shard.handle(request, requestId, now),
      replay: (record) => shard.replay(record),
      onLoaded: (now) => shard.onLoaded(now),
      onStalled: (byMs) => shard.onStalled(byMs),
      close: () => shard.close(),
      onTopicsChanged: (change, now) => shard.onTopicsChanged(change, now),
      onTick: (now) => [...shard.onTick(now), ...offsetsOfRebalancing(shard, groups)],
    }),
  },
  { name: '21-replays-what-was-refused', aim, replaysRefused: true },
  { name: '22-coordinates-after-its-leadership', aim, coordinatesOn: true, speaksWithoutContact: true },
  {
    name: '23-coordinates-without-contact',
    aim: { ...aim, kinds: ['isolate', 'healNetwork', 'flush'], everyMs: 1_000 },
    speaksWithoutContact: true,
  },
  {
    name: '24-handed-on-before-given-back',
    aim,
    groupRequest(request) {
      if (request.kind !== 'consumerGroupHeartbeat' || request.topicPartitions === null) return request;
      return { ...request, topicPartitions: [] };
    },
  },
  {
    name: '25-trusts-controllers-without-proof',
    aim: { ...aim, kinds: ['isolate', 'healNetwork', 'flush', 'flush'], everyMs: 1_000 },
    trustsUnprovedControllers: true,
  },
  { name: '26-tells-without-confirmation', aim: strandedLeaders, tellsUnconfirmed: true },
  {
    name: '27-elr-not-asked',
    isQuick: false,
    aim: strandedBelowMinIsr,
    leaderRecord: (record) => ({ ...record, elr: [] }),
  },
];

/** Whoever commits counts as a member of now. */
function inTheNewestGeneration(request: GroupRequest, groups: SimulatedGroups): GroupRequest {
  if (request.kind !== 'offsetCommit' || request.generationOrMemberEpoch < 0) return request;
  const { classic } = groups.committed.group(request.groupId);
  const member = classic?.members[0];
  if (!classic || !member) return request;
  const { memberId, instanceId } = member;
  return { ...request, generationOrMemberEpoch: classic.generation, memberId, instanceId };
}

/** As if a group whose members all have to join again had none (KAFKA-13636). */
function offsetsOfRebalancing(shard: SimulatedShard, groups: SimulatedGroups): GroupStep[] {
  const now = { monotonicMs: 0, wallMs: 0 };
  return groups.plans.flatMap(({ groupId }) => {
    const ask = (request: GroupRequest) => shard.handle(request, -1, now)[0]?.answers[0]?.answer;
    const described = ask({ kind: 'describeGroup', groupId });
    if (!described || isRefused(described) || !('state' in described) || described.state !== 'PreparingRebalance')
      return [];
    const fetched = ask({
      kind: 'offsetFetch',
      groupId,
      memberId: null,
      memberEpoch: -1,
      topics: null,
      requireStable: false,
    });
    if (!fetched || !('topics' in fetched)) return [];
    const records = fetched.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition }) => ({ kind: 'offsetCommit', groupId, topic, partition, value: null }) as const),
    );
    return records.length === 0 ? [] : [{ key: groupId, records, answers: [] }];
  });
}
