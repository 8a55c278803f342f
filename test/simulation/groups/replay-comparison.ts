/** Whether a coordinator's durable state is what a replay of its whole log gives: as both answer who asks. */
import {
  type DescribeGroupAnswer,
  type GroupAnswer,
  type GroupRequest,
  isRefused,
} from '../../../src/coordinator/group-requests.ts';
import { InvariantViolation } from '../invariants.ts';
import type { SimulatedCoordinator, SimulatedShard } from './simulated-coordinator.ts';

const name = 'I39 a replay of the log gives the groups that are served';
/** No request of a client has it. */
const noRequestId = -1;

export function assertEqualToReplay(
  coordinator: SimulatedCoordinator,
  replayed: SimulatedShard,
  groupIds: readonly string[],
): void {
  const ask = (shard: SimulatedShard, request: GroupRequest): GroupAnswer | undefined =>
    shard.handle(request, noRequestId, coordinator.now).at(-1)?.answers[0]?.answer;
  for (const groupId of groupIds) {
    const compare = (request: GroupRequest): void => {
      const served = sorted(ask(coordinator.shard, request));
      const loaded = sorted(ask(replayed, request));
      if (served !== loaded)
        throw new InvariantViolation(name, `${groupId} is ${served} at its coordinator, and ${loaded} when it is read`);
    };
    compare({ kind: 'offsetFetch', groupId, memberId: null, memberEpoch: -1, topics: null, requireStable: false });
    compare({ kind: 'consumerGroupDescribe', groupId });
    // Who has joined a rebalance is not written; what a settled group is like must be.
    const described = ask(coordinator.shard, { kind: 'describeGroup', groupId });
    if (described === undefined || isRefused(described) || !('state' in described)) continue;
    const { state, protocolType } = described as DescribeGroupAnswer;
    const isWritten = state === 'Stable' || (state === 'Empty' && protocolType !== '');
    if (isWritten) compare({ kind: 'describeGroup', groupId });
  }
}

/** Members, topics and partitions may stand in any order. */
function sorted(answer: GroupAnswer | undefined): string {
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((one) => JSON.stringify(plain(one))).sort();
    if (Buffer.isBuffer(value)) return value.toString();
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => [key, plain(inner)]),
    );
  };
  return JSON.stringify(plain(answer));
}
