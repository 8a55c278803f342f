/** How do clients name a partition? By the topic's name, as Kafka's group and offset requests do. */
export interface NamedPartition {
  readonly topic: string;
  readonly partition: number;
}

/** For people and as the key of a Map: `orders-3`. The last hyphen divides; a topic's name may have more. */
export const partitionName = ({ topic, partition }: NamedPartition): string => `${topic}-${partition}`;

/** By topic, then by number: the order in which people look for a partition. */
export function byPartition(a: NamedPartition, b: NamedPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition;
}

/** As the requests want them: topics with their partitions. */
export function perTopic<Item extends NamedPartition, Shape>(
  items: readonly Item[],
  shape: (item: Item) => Shape,
): { name: string; partitions: Shape[] }[] {
  return [...Map.groupBy(items, ({ topic }) => topic)].map(([name, all]) => ({ name, partitions: all.map(shape) }));
}
