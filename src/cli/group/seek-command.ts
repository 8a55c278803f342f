/** `cordwood group seek`: where will a group that nobody is in go on reading? */
import { type AdminOptions, withClient, withRealTime } from '../admin-command.ts';
import { GroupClient, groupError, noMember, noSuchGroup } from '../client/group-client.ts';
import { errorName, type KafkaClient } from '../client/kafka-client.ts';
import { listKnownOffsets, logEnd, logStart } from '../client/log-offsets.ts';
import { byPartition, type NamedPartition, partitionName } from '../client/named-partition.ts';
import { CliError, exitCode } from '../exit-code.ts';
import { printJson, printLine, printTable } from '../output.ts';
import { holdersOf } from './group-view.ts';
import {
  type PartitionState,
  planSeek,
  type SeekStep,
  type SeekTarget,
  type SeekTargetOptions,
  seekTargetOf,
} from './seek-plan.ts';
import { parseTopicSelection, type TopicSelection } from './topic-selection.ts';

export interface SeekOptions extends AdminOptions, SeekTargetOptions {
  /** `TOPIC` or `TOPIC:0,1`; empty: every topic that the group has offsets for. */
  readonly topic: readonly string[];
  readonly dryRun: boolean;
}

export const seekGroup = (name: string, options: SeekOptions): Promise<void> => {
  const target = seekTargetOf(options);
  const selection = parseTopicSelection(options.topic);
  return withClient(options, async (client) => {
    const groups = new GroupClient(withRealTime(client));
    await refuseWhileInUse(groups, name);
    const committed = new Map((await groups.committedOffsets(name)).map((one) => [partitionName(one), one] as const));
    const topics: TopicSelection =
      selection.size > 0 ? selection : new Map([...committed.values()].map(({ topic }) => [topic, null]));
    // A group is what it has offsets for: naming a topic makes one that was not there.
    if (topics.size === 0)
      throw new CliError(
        (await groups.describe(name)) === null
          ? `${noSuchGroup(name)}; --topic would begin it`
          : `group ${name} has no offsets yet; say which topics with --topic`,
      );
    const partitions = await partitionsOf(client, topics);
    const steps = planSeek(
      target,
      await statesOf(client, partitions, target, (one) => committed.get(partitionName(one))?.committedOffset ?? null),
    );
    const errors = options.dryRun ? new Map<string, string>() : await carryOut(groups, name, steps);
    report(name, steps, errors, options);
  });
};

/** A member would commit over it, and reads on from where it is. The broker refuses as well; it does not say who it is. */
async function refuseWhileInUse(groups: GroupClient, name: string): Promise<void> {
  const group = await groups.describe(name);
  if (group !== null && group.members.length > 0)
    throw new CliError(`group ${name} is in use: ${holdersOf(group.members)}; stop them first`);
}

async function partitionsOf(client: KafkaClient, topics: TopicSelection): Promise<readonly NamedPartition[]> {
  const all: NamedPartition[] = [];
  for (const [name, wanted] of topics) {
    const { partitions } = await client.topic(name);
    for (const partition of wanted ?? partitions.map(({ partitionIndex }) => partitionIndex)) {
      if (partition >= partitions.length)
        throw new CliError(
          `topic ${name} has ${partitions.length} partitions, there is none numbered ${partition}`,
          exitCode.usage,
        );
      all.push({ topic: name, partition });
    }
  }
  return all.sort(byPartition);
}

async function statesOf(
  client: KafkaClient,
  partitions: readonly NamedPartition[],
  target: SeekTarget,
  committedOf: (one: NamedPartition) => bigint | null,
): Promise<PartitionState[]> {
  const [starts, ends, atTime] = await Promise.all([
    listKnownOffsets(withRealTime(client), partitions, logStart),
    listKnownOffsets(withRealTime(client), partitions, logEnd),
    target.kind === 'datetime' ? listKnownOffsets(withRealTime(client), partitions, target.ms) : null,
  ]);
  return partitions.map((one) => {
    const name = partitionName(one);
    return {
      ...one,
      committedOffset: committedOf(one),
      logStartOffset: starts.get(name) ?? 0n,
      logEndOffset: ends.get(name) ?? 0n,
      ...(atTime === null ? {} : { offsetAtTime: atTime.get(name) ?? -1n }),
    };
  });
}

/** Partition → why it was not committed. */
async function carryOut(groups: GroupClient, name: string, steps: readonly SeekStep[]): Promise<Map<string, string>> {
  const offsets = steps.flatMap(({ topic, partition, to }) =>
    to === null ? [] : [{ topic, partition, committedOffset: to }],
  );
  if (offsets.length === 0) return new Map();
  const outcomes = await groups.commit(name, offsets, noMember);
  // Somebody has joined since we looked: the group takes offsets from its members only.
  if (outcomes.some(({ errorCode }) => errorCode === groupError.unknownMember)) await refuseWhileInUse(groups, name);
  return new Map(
    outcomes
      .filter(({ errorCode }) => errorCode !== 0)
      .map((one) => [partitionName(one), errorName(one.errorCode)] as const),
  );
}

function report(
  name: string,
  steps: readonly SeekStep[],
  errors: ReadonlyMap<string, string>,
  options: SeekOptions,
): void {
  if (options.json)
    printJson({
      group: name,
      dryRun: options.dryRun,
      partitions: steps.map((step) => ({
        topic: step.topic,
        partition: step.partition,
        from: step.from === null ? null : Number(step.from),
        to: step.to === null ? null : Number(step.to),
        note: step.note,
        error: errors.get(partitionName(step)) ?? null,
      })),
    });
  else {
    printTable(
      ['TOPIC', 'PARTITION', 'FROM', 'TO', 'NOTE'],
      steps.map((step) => [
        step.topic,
        step.partition,
        step.from === null ? '-' : Number(step.from),
        step.to === null ? '-' : Number(step.to),
        errors.get(partitionName(step)) ?? step.note ?? '',
      ]),
    );
    if (options.dryRun) printLine('nothing was changed: --dry-run');
  }
  if (errors.size > 0) throw new CliError([...errors].map(([partition, error]) => `${partition}: ${error}`).join('\n'));
}
