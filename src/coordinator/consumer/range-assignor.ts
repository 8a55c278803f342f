/**
 * `range` (`RangeAssignor.java`): each topic by itself is cut into as many ranges as it has subscribers, the first ones
 * longer by one where it does not come out even. Members take their ranges in one order for all topics, so topics with
 * equally many partitions and the same subscribers are co-partitioned: whoever has partition 3 of one has it of all.
 *
 *     5 partitions, members a b:   a 0 1 2   b 3 4
 *
 * Static members come first, by instance id, so that a restart, which changes their member id, moves nothing.
 */

import { present } from '../../model/assert.ts';
import type { TopicId } from '../../model/brands.ts';
import type { Assignment } from './assignment.ts';
import type { AssignorInput, AssignorMember } from './assignor.ts';

interface Cut {
  readonly partitions: number;
  subscribers: number;
  /** How many members have taken theirs, and where the next range begins. */
  served: number;
  start: number;
}

export function assignRanges({ members, partitionCounts }: AssignorInput): Map<string, Assignment> {
  const cuts = new Map<TopicId, Cut>();
  for (const { topicIds } of members)
    for (const topicId of topicIds) {
      const cut = cuts.get(topicId);
      if (cut !== undefined) cut.subscribers++;
      else cuts.set(topicId, { partitions: partitionCounts.get(topicId) ?? 0, subscribers: 1, served: 0, start: 0 });
    }
  const assignments = new Map<string, Assignment>();
  for (const { memberId, topicIds } of [...members].sort(byInstanceId)) {
    const assignment = new Map<TopicId, readonly number[]>();
    for (const topicId of topicIds) {
      const range = nextRange(present(cuts.get(topicId), 'every subscribed topic was counted'));
      if (range.length > 0) assignment.set(topicId, range);
    }
    assignments.set(memberId, assignment);
  }
  return assignments;
}

const nothing: readonly number[] = [];

function nextRange(cut: Cut): readonly number[] {
  const { partitions, subscribers, served, start } = cut;
  const length = Math.floor(partitions / subscribers) + (served < partitions % subscribers ? 1 : 0);
  cut.served++;
  if (length === 0) return nothing;
  cut.start += length;
  return Array.from({ length }, (_, index) => start + index);
}

function byInstanceId(a: AssignorMember, b: AssignorMember): number {
  if (a.instanceId !== null && b.instanceId !== null) return a.instanceId < b.instanceId ? -1 : 1;
  if (a.instanceId !== null) return -1;
  if (b.instanceId !== null) return 1;
  return a.memberId < b.memberId ? -1 : 1;
}
