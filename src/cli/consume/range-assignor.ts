/**
 * Who reads what, when this program leads its group? As Kafka's range assignor: topic by topic the partitions are cut
 * into runs, one for each member that subscribes to the topic, in the order of the member ids; the first ones get one
 * more where it does not come out even. Topics with as many partitions are cut alike.
 */
import type { AssignedTopic } from '../client/group-client.ts';

/** Member id → what it reads; members without anything are there too. */
export function assignByRange(
  subscriptions: ReadonlyMap<string, readonly string[]>,
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, AssignedTopic[]> {
  const memberIds = [...subscriptions.keys()].sort();
  const assignment = new Map<string, AssignedTopic[]>(memberIds.map((memberId) => [memberId, []]));
  for (const topic of [...new Set([...subscriptions.values()].flat())].sort()) {
    const readers = memberIds.filter((memberId) => subscriptions.get(memberId)?.includes(topic));
    const count = partitionCounts.get(topic) ?? 0;
    const [share, rest] = [Math.floor(count / readers.length), count % readers.length];
    let next = 0;
    readers.forEach((memberId, at) => {
      const length = share + (at < rest ? 1 : 0);
      const first = next;
      next += length;
      if (length > 0)
        assignment.get(memberId)?.push({ topic, partitions: Array.from({ length }, (_, index) => first + index) });
    });
  }
  return assignment;
}
