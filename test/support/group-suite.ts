/**
 * What every client's groups must show, whichever protocol it speaks: 1, 3 and 7 members on 6 partitions, members that
 * join, leave and crash, two groups that do not know of each other, many topics for one member, and offsets that outlive
 * brokers. Members are processes (`member-process.ts`); what they hold is read from the coordinator (`group-admin.ts`).
 */
import assert from 'node:assert/strict';
import { afterAll, test as anyTest, beforeAll, describe } from 'vitest';
import { TestCluster } from './dev.ts';
import { GroupAdmin } from './group-admin.ts';
import { isKcatThere, type MemberKind, MemberProcess, noKcat, protocolOf } from './member-process.ts';
import { RawCluster } from './raw-cluster.ts';
import { RawProducer } from './raw-producer.ts';
import { until } from './until.ts';

/** The shortest that these tests let a member be silent: a busy machine must not look like a crash. */
const sessionTimeoutMs = 3000;
const waitMs = 60_000;
const flushing = 'may be read twice';

/** Writes numbered values, `perPartition` to each partition, and knows all that it has written. */
class Writer {
  readonly #bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly values: string[] = [];
  /** Records, those of `flushFetches` among them. */
  written = 0;

  constructor(bootstrap: string, topic: string, partitions: number) {
    this.#bootstrap = bootstrap;
    this.topic = topic;
    this.partitions = partitions;
  }

  async write(perPartition: number): Promise<void> {
    const from = this.values.length;
    const wanted = perPartition * this.partitions;
    const values = Array.from({ length: wanted }, (_, index) => `${this.topic}-${from + index}`);
    this.values.push(...values);
    await this.#send(values);
  }

  /**
   * One record to each partition that may be read twice. A client may still have a fetch under way for a partition that
   * it has just lost, and hand out what it brings (@platformatic/kafka does, by the classic protocol): this ends it.
   */
  async flushFetches(): Promise<void> {
    await this.#send(Array<string>(this.partitions).fill(flushing));
  }

  async #send(values: readonly string[]): Promise<void> {
    let acknowledged = 0;
    const producer = new RawProducer(this.#bootstrap, this.topic, () => acknowledged++);
    await producer.start(this.partitions);
    for (const [index, value] of values.entries()) producer.send(index % this.partitions, value);
    await producer.stop();
    assert.equal(acknowledged, values.length);
    this.written += values.length;
  }
}

class Group {
  readonly name: string;
  readonly kind: MemberKind;
  readonly members = new Map<string, MemberProcess>();
  readonly #bootstrap: string;
  readonly #all: MemberProcess[] = [];

  constructor(name: string, kind: MemberKind, bootstrap: string) {
    this.name = name;
    this.kind = kind;
    this.#bootstrap = bootstrap;
  }

  join(name: string, topics: readonly string[]): MemberProcess {
    const { kind, name: group } = this;
    const member = MemberProcess.start({ kind, bootstrap: this.#bootstrap, group, topics, name, sessionTimeoutMs });
    this.members.set(name, member);
    this.#all.push(member);
    return member;
  }

  async leave(name: string): Promise<void> {
    await this.members.get(name)?.leave();
    this.members.delete(name);
  }

  async crash(name: string): Promise<void> {
    await this.members.get(name)?.crash();
    this.members.delete(name);
  }

  async end(): Promise<void> {
    await Promise.all([...this.members.values()].map((member) => member.crash()));
    this.members.clear();
  }

  /** Values that any member has read so far, those that are gone too, sorted; as often as they were read. */
  get values(): string[] {
    const all = this.#all.flatMap(({ reads }) => reads.map(({ value }) => value));
    return all.filter((value) => value !== flushing).sort();
  }

  get distinctReads(): number {
    const all = this.#all.flatMap(({ reads }) => reads);
    return new Set(all.map(({ topic, partition, offset }) => `${topic}:${partition}:${offset}`)).size;
  }

  /** Who read what more than once, for the message of a failing test. */
  get repeats(): string {
    const readers = new Map<string, string[]>();
    for (const { name, reads } of this.#all)
      for (const { value, atMs } of reads)
        readers.set(value, [...(readers.get(value) ?? []), `${name} at ${atMs.toFixed(0)}`]);
    const all = [...readers].filter(([, by]) => by.length > 1).map(([value, by]) => `${value} by ${by.join(', ')}`);
    const assigned = this.#all.map(({ name, assignments }) => `${name}: ${JSON.stringify(assignments)}`);
    return [...all, ...assigned].join('\n');
  }

  get complaints(): string {
    return this.#all.map(({ name, complaints }) => `${name}: ${complaints}`).join('\n');
  }
}

export function testGroupsOf(kind: MemberKind): void {
  const skip = kind === 'kcat' && !isKcatThere();
  const test = (name: string, run: () => Promise<void>): void =>
    anyTest(name, async (context) => {
      if (skip) context.skip(noKcat);
      await run();
    });

  describe(`groups of ${kind}`, () => {
    let cluster: TestCluster;
    let raw: RawCluster;
    let admin: GroupAdmin;
    const groups: Group[] = [];

    beforeAll(async () => {
      if (skip) return;
      cluster = await TestCluster.start({
        config: {
          'offsets.topic.num.partitions': '6',
          'group.min.session.timeout.ms': '100',
          'group.consumer.session.timeout.ms': String(sessionTimeoutMs),
          'group.consumer.heartbeat.interval.ms': '300',
        },
      });
      raw = new RawCluster(cluster.bootstrap);
      admin = new GroupAdmin(() => cluster.dev.brokers().map(({ id }) => cluster.addressOf(id)));
    });
    afterAll(async () => {
      await Promise.all(groups.map((group) => group.end()));
      raw?.close();
      admin?.close();
      await cluster?.remove();
    });

    const newTopic = async (topic: string, partitions: number): Promise<Writer> => {
      await raw.createTopic(topic, { partitions, replicationFactor: 3 });
      return new Writer(cluster.bootstrap, topic, partitions);
    };
    const newGroup = (name: string): Group => {
      const group = new Group(name, kind, cluster.bootstrap);
      groups.push(group);
      return group;
    };

    /** Waits until exactly the group's members share all of `places`, as evenly as they can be; who holds what. */
    async function settled(group: Group, places: readonly string[]): Promise<Map<string, readonly string[]>> {
      const names = [...group.members.keys()].sort();
      let seen = '';
      const isShared = async () => {
        const held = await admin.assignment(group.name);
        seen = JSON.stringify([...held]);
        if (JSON.stringify([...held.keys()].sort()) !== JSON.stringify(names)) return null;
        return JSON.stringify([...held.values()].flat().sort()) === JSON.stringify([...places].sort()) ? held : null;
      };
      try {
        const held = await until(`${names} share ${places.length} partitions`, isShared, waitMs);
        const counts = [...held.values()].map(({ length }) => length);
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `uneven: ${seen}`);
        return held;
      } catch (error) {
        throw new Error(`${error}; seen ${seen}; members said ${group.complaints}`, { cause: error });
      }
    }

    /** Waits until the group has read all that was written. */
    async function hasRead(group: Group, writers: readonly Writer[]): Promise<void> {
      const total = writers.reduce((sum, { written }) => sum + written, 0);
      await until(`${group.name} has read ${total} records`, () => group.distinctReads >= total, waitMs);
    }
    async function hasCommitted(group: Group, writers: readonly Writer[]): Promise<void> {
      const isCommitted = async () => {
        const committed = await admin.committed(group.name);
        for (const { topic, partitions } of writers)
          for (let partition = 0; partition < partitions; partition++) {
            const end = await raw.endOffset(topic, partition);
            if (end > 0 && committed.get(`${topic}:${partition}`) !== end) return null;
          }
        return committed;
      };
      await until(`${group.name} has committed all`, isCommitted, waitMs);
    }

    /** Writes to stable groups, and waits until they have read and committed it. */
    async function writeTo(to: readonly Group[], writers: readonly Writer[], perPartition: number): Promise<void> {
      for (const write of [(one: Writer) => one.flushFetches(), (one: Writer) => one.write(perPartition)]) {
        for (const writer of writers) await write(writer);
        for (const group of to) await hasRead(group, writers);
      }
      for (const group of to) await hasCommitted(group, writers);
    }
    const assertEachOnce = (group: Group, writers: readonly Writer[]): void =>
      assert.deepEqual(group.values, writers.flatMap(({ values }) => values).sort(), group.repeats);
    const placesIn = ({ topic, partitions }: Writer): string[] =>
      Array.from({ length: partitions }, (_, partition) => `${topic}:${partition}`);

    test('1, 3 and 7 members share 6 partitions, one idle; one leaves, one crashes; each record once', async () => {
      const writer = await newTopic('shared', 6);
      const places = placesIn(writer);
      const group = newGroup('sharing');
      const sizes = new Map([
        [1, [6]],
        [3, [2, 2, 2]],
        [7, [0, 1, 1, 1, 1, 1, 1]],
      ]);
      for (const [members, counts] of sizes) {
        while (group.members.size < members) group.join(`member-${group.members.size}`, ['shared']);
        const held = await settled(group, places);
        assert.deepEqual([...held.values()].map(({ length }) => length).sort(), counts);
        await writeTo([group], [writer], 10);
        assertEachOnce(group, [writer]);
        const { protocol } = await admin.describe(group.name);
        assert.equal(protocol, protocolOf(kind));
      }

      await group.leave('member-2');
      await settled(group, places);
      await writeTo([group], [writer], 10);

      await group.crash('member-4');
      await settled(group, places);
      await writeTo([group], [writer], 10);
      assertEachOnce(group, [writer]);
      await group.end();
    });

    test('two groups read the same topic, each all of it, and do not disturb each other', async () => {
      const writer = await newTopic('twice', 4);
      const places = placesIn(writer);
      const [one, other] = [newGroup('one'), newGroup('other')];
      for (const group of [one, other]) for (const name of ['a', 'b']) group.join(name, ['twice']);
      await settled(one, places);
      const before = await settled(other, places);
      await writeTo([one, other], [writer], 10);
      await one.leave('b');
      await settled(one, places);
      assert.deepEqual(await settled(other, places), before);
      await writeTo([one, other], [writer], 5);
      for (const group of [one, other]) {
        assertEachOnce(group, [writer]);
        await group.end();
      }
    });

    test('one member reads many topics; its offsets outlive a killed broker, a restart and a crash', async () => {
      const writers: Writer[] = [];
      for (const name of ['red', 'green', 'blue', 'grey', 'black']) writers.push(await newTopic(name, 2));
      const places = writers.flatMap(placesIn);
      const topics = writers.map(({ topic }) => topic);
      const group = newGroup('many');
      group.join('only', topics);
      await settled(group, places);
      await writeTo([group], writers, 5);
      await group.leave('only');
      const committed = await admin.committed(group.name);
      assert.deepEqual([...committed.keys()].sort(), [...places].sort());
      const stillCommitted = async (): Promise<void> =>
        assert.deepEqual(await until('the coordinator answers', () => admin.committed(group.name), waitMs), committed);

      const { id } = await admin.coordinatorOf(group.name);
      await cluster.dev.killBroker(id);
      await stillCommitted();
      await cluster.dev.startBroker(id);
      await cluster.stop();
      await cluster.start();
      await stillCommitted();
      await cluster.kill();
      await cluster.start();
      await stillCommitted();

      raw.close();
      raw = new RawCluster(cluster.bootstrap);
      const again = new Group(group.name, kind, cluster.bootstrap);
      groups.push(again);
      again.join('again', topics);
      await settled(again, places);
      const fresh = writers.map(({ topic, partitions }) => new Writer(cluster.bootstrap, topic, partitions));
      for (const writer of fresh) await writer.write(2);
      await until('what is new was read', () => again.values.length >= 20, waitMs);
      assertEachOnce(again, fresh);
      await again.end();
    });
  });
}
