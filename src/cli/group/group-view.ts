/** What does `cordwood group` show of a group: how far it is behind, partition by partition, and who holds what? */
import type { CommittedOffset, DescribedGroup, GroupMember, ListedGroup } from '../client/group-client.ts';
import { byPartition, type NamedPartition, partitionName } from '../client/named-partition.ts';
import { grouped, tableLines } from '../output.ts';

export interface PartitionRow extends NamedPartition {
  /** Null where the group has none. */
  readonly committedOffset: number | null;
  /** The high watermark, exclusive; null where the leader did not say. */
  readonly logEndOffset: number | null;
  /**
   * Records from the committed offset to the log end, those included that retention has deleted since; below zero where
   * the log lost its tail. Null where one of the two is unknown.
   */
  readonly lag: number | null;
  /** Who reads it; null where nobody does. */
  readonly memberId: string | null;
  readonly clientId: string | null;
  readonly host: string | null;
}

/** Every partition that the group has an offset for or that a member holds. */
export function partitionsOf(
  members: readonly GroupMember[],
  committed: readonly CommittedOffset[],
): readonly NamedPartition[] {
  const assigned = members.flatMap(({ assignment }) =>
    assignment.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition }))),
  );
  const all = [...committed.map(({ topic, partition }) => ({ topic, partition })), ...assigned];
  return [...new Map(all.map((one) => [partitionName(one), one])).values()].sort(byPartition);
}

export function partitionRows(
  members: readonly GroupMember[],
  committed: readonly CommittedOffset[],
  logEnds: ReadonlyMap<string, bigint>,
): readonly PartitionRow[] {
  const offsets = new Map(committed.map((one) => [partitionName(one), one.committedOffset]));
  const holder = new Map(
    members.flatMap((member) =>
      member.assignment.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => [partitionName({ topic, partition }), member] as const),
      ),
    ),
  );
  return partitionsOf(members, committed).map(({ topic, partition }) => {
    const name = partitionName({ topic, partition });
    const [offset, end, member] = [offsets.get(name), logEnds.get(name), holder.get(name)];
    return {
      topic,
      partition,
      committedOffset: offset === undefined ? null : Number(offset),
      logEndOffset: end === undefined ? null : Number(end),
      lag: offset === undefined || end === undefined ? null : Number(end - offset),
      memberId: member?.memberId ?? null,
      clientId: member?.clientId ?? null,
      host: member?.host ?? null,
    };
  });
}

/** Over the partitions whose lag is known. */
export const totalLag = (rows: readonly PartitionRow[]): number => rows.reduce((sum, { lag }) => sum + (lag ?? 0), 0);

export function descriptionLines(group: DescribedGroup, rows: readonly PartitionRow[]): readonly string[] {
  const { coordinator, members } = group;
  const facts = [
    `state ${group.state}`,
    `type ${group.type}`,
    ...(group.type === 'classic' && group.protocolType !== '' ? [`protocol ${group.protocolType}`] : []),
    ...(group.assignor === '' ? [] : [`assignor ${group.assignor}`]),
    ...(group.groupEpoch === null ? [] : [`epoch ${group.groupEpoch}`]),
    `coordinator ${coordinator.id} at ${coordinator.address}`,
    `lag ${grouped(totalLag(rows))}`,
  ];
  const memberLines =
    members.length === 0
      ? ['no members']
      : tableLines(
          ['MEMBER', 'INSTANCE', 'CLIENT', 'HOST', 'PARTITIONS'],
          members.map(({ memberId, instanceId, clientId, host, assignment }) => [
            memberId,
            instanceId ?? '-',
            clientId,
            host,
            assignment.reduce((sum, { partitions }) => sum + partitions.length, 0),
          ]),
        );
  const partitionLines =
    rows.length === 0
      ? ['no offsets, and no partition is assigned']
      : tableLines(
          ['TOPIC', 'PARTITION', 'COMMITTED', 'LOG END', 'LAG', 'MEMBER', 'CLIENT', 'HOST'],
          rows.map((row) => [
            row.topic,
            row.partition,
            row.committedOffset ?? '-',
            row.logEndOffset ?? '?',
            row.lag ?? '-',
            row.memberId ?? '-',
            row.clientId ?? '-',
            row.host ?? '-',
          ]),
        );
  return [`${group.group}  ${facts.join('  ')}`, '', ...memberLines, '', ...partitionLines];
}

/** `2 members hold it: client a at 10.0.0.1 (a-1f…), client b at 10.0.0.2 (b-09…)` */
export function holdersOf(members: readonly GroupMember[]): string {
  const them = members.map(
    ({ memberId, instanceId, clientId, host }) =>
      `client ${clientId} at ${host} (${instanceId === null ? '' : `instance ${instanceId}, `}${memberId})`,
  );
  return `${members.length === 1 ? '1 member holds' : `${members.length} members hold`} it: ${them.join(', ')}`;
}

/** Those of these states and types, whichever case they are written in; an empty list is all. */
export function selectGroups(
  groups: readonly ListedGroup[],
  states: readonly string[],
  types: readonly string[],
): readonly ListedGroup[] {
  const matches = (wanted: readonly string[], value: string): boolean =>
    wanted.length === 0 || wanted.some((one) => one.toLowerCase() === value.toLowerCase());
  return groups.filter(({ state, type }) => matches(states, state) && matches(types, type));
}
