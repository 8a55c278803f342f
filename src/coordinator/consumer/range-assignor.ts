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
import type { AssignorInput, AssignorMember, AssignorTopic } from './assignor.ts';

interface Cut extends AssignorTopic {
  subscribers: number;
  /** How many members have taken theirs, and where the next range begins. */
  served: number;
  start: number;
}

export function assignRanges({ members, topics }: AssignorInput): Map<string, Assignment> {
  const cuts = topics.map((topic): Cut => ({ ...topic, subscribers: 0, served: 0, start: 0 }));
  const cutOf = (number: number): Cut => present(cuts[number], 'every subscribed topic has a number');
  for (const member of members) for (const number of member.topics) cutOf(number).subscribers++;
  const assignments = new Map<string, Assignment>();
  for (const member of [...members].sort(byInstanceId)) {
    const assignment = new Map<TopicId, readonly number[]>();
    for (const number of member.topics) {
      const cut = cutOf(number);
      if (cut.start === cut.partitions) continue;
      const range = nextRange(cut);
      if (range.length > 0) assignment.set(cut.topicId, range);
    }
    assignments.set(member.memberId, assignment);
  }
  return assignments;
}

function nextRange(cut: Cut): readonly number[] {
  const { partitions, subscribers, served, start } = cut;
  const length = Math.floor(partitions / subscribers) + (served < partitions % subscribers ? 1 : 0);
  cut.served++;
  cut.start += length;
  return Array.from({ length }, (_, index) => start + index);
}

function byInstanceId(a: AssignorMember, b: AssignorMember): number {
  if (a.instanceId !== null && b.instanceId !== null) return a.instanceId < b.instanceId ? -1 : 1;
  if (a.instanceId !== null) return -1;
  if (b.instanceId !== null) return 1;
  return a.memberId < b.memberId ? -1 : 1;
}
