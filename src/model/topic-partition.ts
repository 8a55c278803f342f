import type { TopicId } from './brands.ts';

/** One partition of one topic, by the id that no other topic ever has. */
export interface TopicPartition {
  readonly topicId: TopicId;
  readonly partition: number;
}

/** The key of a partition in a Map; also the tail of its key in the metadata store. */
export const partitionKey = (topicId: TopicId, partition: number): string => `${topicId}/${partition}`;

const legal = /^[a-zA-Z0-9._-]{1,249}$/;

/** Why `name` cannot be a topic's name, or null if it can (Kafka: `Topic.validate`). */
export function topicNameProblem(name: string): string | null {
  if (name === '') return 'the topic name is empty';
  if (name === '.' || name === '..') return `the topic name cannot be "${name}"`;
  if (name.length > 249) return `the topic name is longer than 249 characters`;
  if (!legal.test(name)) return `the topic name has characters other than ASCII letters, digits, ".", "_" and "-"`;
  return null;
}

/** Names that differ only in "." and "_" collide, since both stand for "_" in metric names (Kafka: `Topic.unifyCollisionChars`). */
export const topicNameCollisionKey = (name: string): string => name.replaceAll('.', '_');
