/**
 * `cordwood consume --group`: reads what the group assigns to us, from where it had come, and commits how far we are:
 * each second, before partitions go to somebody else, and at the end, always after the lines were written. So a line is
 * shown again if we die between the two (at least once), and none is left out.
 */
import type { Clock, Timers } from '../../env/clock.ts';
import { type AssignedTopic, GroupClient } from '../client/group-client.ts';
import { errorName, type KafkaClient } from '../client/kafka-client.ts';
import { listKnownOffsets, logEnd, logStart } from '../client/log-offsets.ts';
import { partitionName } from '../client/named-partition.ts';
import { CliError } from '../exit-code.ts';
import { GroupMembership } from './group-membership.ts';
import { PartitionReader, type Position } from './partition-reader.ts';
import type { ShownRecord } from './record-format.ts';
import { RecordPrinter } from './record-printer.ts';
import type { ResetOffset } from './start-offset.ts';

export interface GroupConsumptionOptions {
  readonly group: string;
  readonly topics: readonly string[];
  readonly bootstrap: string;
  /** Where the group has no offset, or one that the log no longer has. */
  readonly reset: ResetOffset;
  /** End when everything assigned to us has been read to where it ended when it was assigned. */
  readonly exitAtEnd: boolean;
  /** End after so many records. */
  readonly count: number | undefined;
  readonly show: (record: ShownRecord) => Buffer;
}

export interface GroupConsumptionModules {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly timers: Timers;
}

const commitIntervalMs = 1000;

export class GroupConsumption {
  readonly #options: GroupConsumptionOptions;
  readonly #modules: GroupConsumptionModules;
  readonly #groups: GroupClient;
  readonly #reader: PartitionReader;
  readonly #membership: GroupMembership;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Rises whenever partitions come or go: what was looked up for an assignment is of no use after it. */
  #assignmentNumber = 0;
  /** Partition → what the group has for it, as far as we know. */
  #committed = new Map<string, bigint>();
  /** Commits go one after the other: an older one must not overtake. */
  #lastCommit: Promise<unknown> = Promise.resolve();

  constructor(options: GroupConsumptionOptions, modules: GroupConsumptionModules) {
    this.#options = options;
    this.#modules = modules;
    this.#groups = new GroupClient(modules);
    const printer = new RecordPrinter(options.show, options.count, () => this.stop());
    this.#reader = new PartitionReader(modules.client, modules.timers, {
      take: (records) => printer.print(records),
      onAllAtEnd: () => this.stop(),
      outOfRange: (position, logStartOffset, logEndOffset) => {
        const to = options.reset === 'earliest' ? logStartOffset : logEndOffset;
        note(`${partitionName(position)}: offset ${position.offset} is out of range, going on at ${to}`);
        return to;
      },
      onFailed: (error) => this.#ended.reject(error),
    });
    this.#membership = new GroupMembership(options, {
      onRevoked: () => this.#onRevoked(),
      onAssigned: (assignment) => {
        this.#onAssigned(assignment).catch((error) => this.#ended.reject(error));
      },
      onFailed: (error) => this.#ended.reject(error),
    });
  }

  async run(): Promise<void> {
    const ticking = this.#modules.timers.setRepeatingTimer(commitIntervalMs, () => void this.#commitProgress());
    let failure: unknown = null;
    try {
      this.#membership.join().catch((error) => this.#ended.reject(error));
      await this.#ended.promise;
    } catch (error) {
      failure = error;
    }
    ticking.cancel();
    this.#assignmentNumber += 1;
    const uncommitted = await this.#commit(await this.#reader.release());
    this.#reader.stop();
    const hasLeft = await this.#membership.leave();
    if (failure !== null) throw failure;
    if (uncommitted.length > 0)
      throw new CliError(`not committed, so it will be read again: ${uncommitted.join(', ')}`);
    if (!hasLeft)
      note(`group ${this.#options.group} was not reached to leave it; it notices when the session times out`);
  }

  stop(): void {
    this.#ended.resolve();
  }

  async #onRevoked(): Promise<void> {
    this.#assignmentNumber += 1;
    const uncommitted = await this.#commit(await this.#reader.release());
    if (uncommitted.length > 0)
      note(`not committed before the rebalance, so it may be read again: ${uncommitted.join(', ')}`);
  }

  async #onAssigned(assignment: readonly AssignedTopic[]): Promise<void> {
    this.#assignmentNumber += 1;
    const number = this.#assignmentNumber;
    const { group, exitAtEnd, reset } = this.#options;
    const partitions = assignment.flatMap(({ topic, partitions: all }) =>
      all.map((partition) => ({ topic, partition })),
    );
    if (partitions.length === 0) {
      note(`group ${group} has no partition for us: its other members have them all`);
      if (exitAtEnd) this.stop();
      return;
    }
    const committed = new Map(
      (await this.#groups.committedOffsets(group, { partitions, requireStable: true })).map(
        (one) => [partitionName(one), one.committedOffset] as const,
      ),
    );
    const others = partitions.filter((one) => !committed.has(partitionName(one)));
    const [resets, ends] = await Promise.all([
      listKnownOffsets(this.#modules, others, reset === 'earliest' ? logStart : logEnd),
      exitAtEnd ? listKnownOffsets(this.#modules, partitions, logEnd) : null,
    ]);
    if (number !== this.#assignmentNumber) return;
    this.#committed = committed;
    await this.#reader.read(
      partitions.map((one) => {
        const name = partitionName(one);
        const offset = committed.get(name) ?? resets.get(name) ?? 0n;
        return { ...one, offset, endOffset: ends?.get(name) ?? null };
      }),
    );
  }

  async #commitProgress(): Promise<void> {
    // What is refused now is tried again with the next tick, before a rebalance and at the end.
    await this.#commit(this.#reader.positions());
  }

  /** What could not be committed: `orders-3 (ILLEGAL_GENERATION)`. */
  #commit(positions: readonly Position[]): Promise<readonly string[]> {
    const next = this.#lastCommit.then(() => this.#commitNow(positions));
    this.#lastCommit = next;
    return next;
  }

  async #commitNow(positions: readonly Position[]): Promise<readonly string[]> {
    const news = positions
      .filter((one) => this.#committed.get(partitionName(one)) !== one.offset)
      .map(({ topic, partition, offset }) => ({ topic, partition, committedOffset: offset }));
    if (news.length === 0) return [];
    const { committer } = this.#membership;
    if (committer === null) return news.map((one) => `${partitionName(one)} (not a member any more)`);
    try {
      const outcomes = await this.#groups.commit(this.#options.group, news, committer);
      const refused = new Map(
        outcomes.filter(({ errorCode }) => errorCode !== 0).map((one) => [partitionName(one), one.errorCode]),
      );
      for (const one of news)
        if (!refused.has(partitionName(one))) this.#committed.set(partitionName(one), one.committedOffset);
      return [...refused].map(([name, code]) => `${name} (${errorName(code)})`);
    } catch (error) {
      return news.map((one) => `${partitionName(one)} (${(error as Error).message})`);
    }
  }
}

/** For people who watch; standard output has the records. */
const note = (text: string): unknown => process.stderr.write(`cordwood: ${text}\n`);
