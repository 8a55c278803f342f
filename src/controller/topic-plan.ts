/**
 * Planning of new topics and new partitions: is the request right, and what would be written. Pure; nothing is
 * remembered. Faults and texts follow Kafka's `ReplicationControlManager`.
 */

import type { Random } from '../env/random.ts';
import { type BrokerId, type TopicId, topicId } from '../model/brands.ts';
import { topicConfigProblem } from '../model/config/topic-config.ts';
import type { Fault } from '../model/fault.ts';
import { newPartitionRecord, type PartitionRecord, type TopicRecord } from '../model/metadata-schema.ts';
import { topicNameCollisionKey, topicNameProblem } from '../model/topic-partition.ts';
import type { NewTopic } from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';
import type { ControlView } from './control-view.ts';
import {
  assignmentProblem,
  type PlacementBroker,
  PlacementLoad,
  placeReplicas,
  replicationFactorProblem,
} from './placement.ts';

/** More would hold up everything else; Kafka draws the line at the same number per request. */
export const mostNewPartitions = 10_000;

export interface TopicPlan {
  readonly id: TopicId;
  readonly record: TopicRecord;
  readonly partitions: readonly PartitionRecord[];
  readonly configs: Readonly<Record<string, string>>;
  readonly replicationFactor: number;
}

export type Planned<Plan> = { readonly fault: Fault } | { readonly fault: null; readonly plan: Plan };

export function planTopic(
  view: ControlView,
  wanted: NewTopic,
  options: ControlOptions,
  canLead: (id: BrokerId) => boolean,
  load: PlacementLoad,
  random: Random,
  wallMs: number,
): Planned<TopicPlan> {
  const nameFault = nameFaultOf(view, wanted.name);
  if (nameFault) return { fault: nameFault };
  const configProblem = topicConfigProblem(wanted.configs);
  if (configProblem !== null) return { fault: { code: 'INVALID_CONFIG', reason: configProblem } };

  const brokers = placementBrokers(view, canLead);
  const replicas = chooseReplicas(wanted, options, brokers, load);
  if (replicas.fault) return replicas;
  const { plan } = replicas;
  const minIsr = minIsrOf(wanted.configs, wanted.isInternal, options);
  return {
    fault: null,
    plan: {
      id: drawTopicId(random, view),
      record: { name: wanted.name, partitions: plan.length, isInternal: wanted.isInternal, createdAtMs: wallMs },
      partitions: plan.map((assigned) => freshPartition(assigned, canLead, minIsr)),
      configs: wanted.configs,
      replicationFactor: plan[0]?.length ?? 0,
    },
  };
}

/** 17 for a name that cannot be or collides, 36 for one that is taken. */
function nameFaultOf(view: ControlView, name: string): Fault | null {
  const problem = topicNameProblem(name);
  if (problem !== null) return { code: 'INVALID_TOPIC', reason: problem };
  if (view.topicIdByName(name)) return { code: 'TOPIC_ALREADY_EXISTS', reason: `Topic '${name}' already exists.` };
  // Only names with one of the two characters can collide with another.
  if (!/[._]/.test(name)) return null;
  const key = topicNameCollisionKey(name);
  for (const names of [view.image.topicIds.keys(), view.namesAhead()])
    for (const other of names)
      if (topicNameCollisionKey(other) === key && view.topicIdByName(other))
        return { code: 'INVALID_TOPIC', reason: `Topic '${name}' collides with existing topic: ${other}` };
  return null;
}

function chooseReplicas(
  wanted: NewTopic,
  options: ControlOptions,
  brokers: readonly PlacementBroker[],
  load: PlacementLoad,
): Planned<readonly (readonly BrokerId[])[]> {
  if (wanted.assignment) {
    if (wanted.assignment.length === 0 || wanted.assignment.length > mostNewPartitions)
      return {
        fault: { code: 'INVALID_REPLICA_ASSIGNMENT', reason: 'the assignment names no partition, or too many' },
      };
    const problem = assignmentProblem(wanted.assignment, brokers, null);
    if (problem !== null) return { fault: { code: 'INVALID_REPLICA_ASSIGNMENT', reason: problem } };
    for (const replicas of wanted.assignment) load.add(replicas);
    return { fault: null, plan: wanted.assignment };
  }
  const partitions = wanted.partitions === -1 ? options.numPartitions : wanted.partitions;
  if (partitions < 1)
    return {
      fault: { code: 'INVALID_PARTITIONS', reason: 'Number of partitions was set to an invalid non-positive value.' },
    };
  if (partitions > mostNewPartitions)
    return { fault: { code: 'POLICY_VIOLATION', reason: `more than ${mostNewPartitions} partitions at once` } };
  const defaultFactor = wanted.isInternal ? options.internalTopicReplicationFactor : options.defaultReplicationFactor;
  const replicationFactor = wanted.replicationFactor === -1 ? defaultFactor : wanted.replicationFactor;
  const problem = replicationFactorProblem(brokers, replicationFactor);
  if (problem !== null) return { fault: { code: 'INVALID_REPLICATION_FACTOR', reason: problem } };
  return { fault: null, plan: placeReplicas(brokers, partitions, replicationFactor, [], load) };
}

/**
 * New partitions of a topic that has some. `total` is the count afterwards (CreatePartitions). 37 for fewer or as
 * many, 39 for a bad assignment.
 */
export function planPartitions(
  view: ControlView,
  id: TopicId,
  total: number,
  assignment: readonly (readonly BrokerId[])[] | null,
  canLead: (id: BrokerId) => boolean,
  load: PlacementLoad,
): Planned<readonly PartitionRecord[]> {
  const topic = view.topic(id);
  if (!topic) return { fault: { code: 'UNKNOWN_TOPIC_OR_PARTITION' } };
  const now = topic.record.partitions;
  const added = total - now;
  if (added === 0) return invalidPartitions(`Topic already has ${now} partition(s).`);
  if (added < 0)
    return invalidPartitions(
      `The topic ${topic.record.name} currently has ${now} partition(s); ${total} would not be an increase.`,
    );
  if (added > mostNewPartitions) return invalidPartitions(`more than ${mostNewPartitions} partitions at once`);
  const existing = Array.from({ length: now }, (_, partition) => view.partition(id, partition)?.record);
  const [first] = existing;
  if (!first) return { fault: { code: 'UNKNOWN_TOPIC_OR_PARTITION' } };
  const brokers = placementBrokers(view, canLead);
  const replicationFactor = first.replicas.length;
  if (assignment) {
    const problem =
      assignment.length === added
        ? assignmentProblem(assignment, brokers, replicationFactor)
        : `${added} partition(s) are to be added and ${assignment.length} assignment(s) were given`;
    if (problem !== null) return { fault: { code: 'INVALID_REPLICA_ASSIGNMENT', reason: problem } };
  }
  const problem = assignment ? null : replicationFactorProblem(brokers, replicationFactor);
  if (problem !== null) return { fault: { code: 'INVALID_REPLICATION_FACTOR', reason: problem } };
  const chosen =
    assignment ??
    placeReplicas(
      brokers,
      added,
      replicationFactor,
      existing.flatMap((record) => (record ? [record.replicas] : [])),
      load,
    );
  return { fault: null, plan: chosen.map((assigned) => freshPartition(assigned, canLead, first.minIsr)) };
}

const invalidPartitions = (reason: string): { fault: Fault } => ({ fault: { code: 'INVALID_PARTITIONS', reason } });

/** §2.9: the ISR of a new partition is every ACTIVE replica; the first of them leads. */
function freshPartition(
  replicas: readonly BrokerId[],
  canLead: (id: BrokerId) => boolean,
  minIsr: number,
): PartitionRecord {
  const active = replicas.filter(canLead);
  const [leader = -1 as BrokerId] = active;
  return newPartitionRecord(
    replicas,
    [...active].sort((a, b) => a - b),
    leader,
    minIsr,
  );
}

/** `min.insync.replicas` lives inside the partition record (I11). */
function minIsrOf(configs: Readonly<Record<string, string>>, isInternal: boolean, options: ControlOptions): number {
  const own = configs['min.insync.replicas'];
  if (own !== undefined) return Number(own);
  return isInternal ? options.internalTopicMinInsyncReplicas : options.minInsyncReplicas;
}

const placementBrokers = (view: ControlView, canLead: (id: BrokerId) => boolean): PlacementBroker[] =>
  view.brokers().map(({ id, record }) => ({ id, rack: record.rack, isActive: canLead(id) }));

/** What all partitions there are weigh on each broker. */
export function loadOf(view: ControlView): PlacementLoad {
  const load = new PlacementLoad();
  for (const { record } of view.partitions()) load.add(record.replicas);
  return load;
}

/** Kafka's `Uuid.randomUuid`: none of the first 2^8 ids, which are reserved, and none whose text looks like a flag. */
export function drawTopicId(random: Random, view: ControlView): TopicId {
  for (;;) {
    const bytes = random.bytes(16);
    const text = bytes.toString('base64url');
    const isReserved = bytes.subarray(0, 15).every((byte) => byte === 0);
    if (!isReserved && !text.startsWith('-') && !view.topic(topicId(text))) return topicId(text);
  }
}
