/** `cordwood group …`: list, describe and delete consumer groups, and delete offsets of theirs. */
import { type AdminOptions, reportOutcomes, withClient, withRealTime } from '../admin-command.ts';
import { GroupClient, groupError, noSuchGroup } from '../client/group-client.ts';
import { errorName, type KafkaClient } from '../client/kafka-client.ts';
import { listOffsets, logEnd } from '../client/log-offsets.ts';
import { byPartition, type NamedPartition, partitionName } from '../client/named-partition.ts';
import { CliError } from '../exit-code.ts';
import { printJson, printLine, printTable } from '../output.ts';
import { descriptionLines, holdersOf, partitionRows, partitionsOf, selectGroups, totalLag } from './group-view.ts';
import { parseTopicSelection } from './topic-selection.ts';

export interface ListGroupsOptions extends AdminOptions {
  /** Empty: all. */
  readonly state: readonly string[];
  readonly type: readonly string[];
}

export const listGroups = (options: ListGroupsOptions): Promise<void> =>
  withClient(options, async (client) => {
    const { groups, silent } = await new GroupClient(withRealTime(client)).listGroups();
    const selected = selectGroups(groups, options.state, options.type);
    if (options.json) printJson(selected);
    else
      printTable(
        ['GROUP', 'TYPE', 'PROTOCOL', 'STATE', 'COORDINATOR'],
        selected.map(({ group, type, protocolType, state, coordinator }) => [
          group,
          type,
          protocolType === '' ? '-' : protocolType,
          state,
          coordinator,
        ]),
      );
    if (silent.length > 0) throw new CliError(`groups may be missing: ${silent.join('; ')}`);
  });

export const describeGroups = (names: readonly string[], options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const groups = new GroupClient(withRealTime(client));
    const described = await Promise.all(names.map((name) => describeGroup(client, groups, name)));
    const found = described.filter((one) => one !== null);
    if (options.json) printJson(found.map(({ group, rows }) => ({ ...group, lag: totalLag(rows), partitions: rows })));
    else
      found.forEach(({ group, rows }, at) => {
        if (at > 0) printLine('');
        for (const line of descriptionLines(group, rows)) printLine(line);
      });
    const missing = names.filter((_, at) => described[at] === null);
    if (missing.length > 0) throw new CliError(missing.map(noSuchGroup).join('\n'));
  });

async function describeGroup(client: KafkaClient, groups: GroupClient, name: string) {
  const [group, committed] = await Promise.all([groups.describe(name), groups.committedOffsets(name)]);
  if (group === null) return null;
  const found = await listOffsets(withRealTime(client), partitionsOf(group.members, committed), logEnd);
  const logEnds = new Map<string, bigint>();
  for (const [partition, answer] of found) if ('offset' in answer) logEnds.set(partition, answer.offset);
  return { group, rows: partitionRows(group.members, committed, logEnds) };
}

export const deleteGroups = (names: readonly string[], options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const groups = new GroupClient(withRealTime(client));
    const deleted = names.map(async (name) => {
      const errorCode = await groups.delete(name);
      return { name, errorCode, message: await reasonFor(groups, name, errorCode) };
    });
    reportOutcomes('group', await Promise.all(deleted), (name) => `deleted ${name}`, options.json);
  });

async function reasonFor(groups: GroupClient, name: string, errorCode: number): Promise<string | null> {
  if (errorCode === groupError.groupIdNotFound) return noSuchGroup(name);
  if (errorCode !== groupError.nonEmptyGroup) return null;
  const group = await groups.describe(name);
  // Who held it a moment ago may be gone by now.
  return group === null || group.members.length === 0 ? 'it was in use' : holdersOf(group.members);
}

export const deleteOffsets = (name: string, texts: readonly string[], options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const groups = new GroupClient(withRealTime(client));
    const selection = parseTopicSelection(texts);
    const group = await groups.describe(name);
    if (group === null) throw new CliError(noSuchGroup(name));
    const committed = new Set((await groups.committedOffsets(name)).map(partitionName));
    const wanted = [...selection].flatMap(([topic, partitions]) =>
      partitions === null
        ? [...committed].map(partitionFrom).filter((one) => one.topic === topic)
        : [...partitions].map((partition) => ({ topic, partition })),
    );
    const absent = [...selection.keys()].filter((topic) => !wanted.some((one) => one.topic === topic));
    if (absent.length > 0) throw new CliError(`group ${name} has no offsets of ${absent.join(', ')}`);
    const outcomes = (await groups.deleteOffsets(name, wanted)).sort(byPartition).map((one) => ({
      ...one,
      // Kafka says nothing about an offset that was not there; people want to know.
      had: committed.has(partitionName(one)),
    }));
    if (options.json)
      printJson(
        outcomes.map(({ topic, partition, errorCode, had }) => ({
          topic,
          partition,
          deleted: errorCode === 0 && had,
          error: errorCode === 0 ? null : errorName(errorCode),
        })),
      );
    else
      for (const one of outcomes.filter(({ errorCode }) => errorCode === 0))
        printLine(one.had ? `deleted the offset of ${partitionName(one)}` : `${partitionName(one)} had no offset`);
    const bad = outcomes.filter(({ errorCode }) => errorCode !== 0);
    if (bad.length === 0) return;
    const isInUse = bad.some(({ errorCode }) => errorCode === groupError.subscribedToTopic);
    throw new CliError(
      [
        ...bad.map((one) => `${partitionName(one)}: ${errorName(one.errorCode)}`),
        ...(isInUse ? [`group ${name} is in use: ${holdersOf(group.members)}`] : []),
      ].join('\n'),
    );
  });

function partitionFrom(name: string): NamedPartition {
  const at = name.lastIndexOf('-');
  return { topic: name.slice(0, at), partition: Number(name.slice(at + 1)) };
}
