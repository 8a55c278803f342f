/** `cordwood group` and `cordwood consume --group`, as a user runs them, against a cluster of three. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { Consumer } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, test } from 'vitest';
import {
  cordwood,
  type DevProcess,
  type Finished,
  outputOf,
  spawnCordwood,
  startDev,
  temporaryDirectory,
} from '../support/cordwood-process.ts';
import { until } from '../support/until.ts';

const data = temporaryDirectory();
let dev: DevProcess;
let to: string[];
beforeAll(async () => {
  dev = await startDev(data.path);
  to = ['--bootstrap', dev.bootstrap.join(',')];
});
afterAll(async () => {
  if (dev !== undefined && dev.process.exitCode === null) await dev.interrupt();
  data.remove();
});

/** As `group describe --json` has it. */
interface Described {
  readonly group: string;
  readonly type: string;
  readonly state: string;
  readonly assignor: string;
  readonly coordinator: { readonly id: number };
  readonly lag: number;
  readonly members: readonly { clientId: string; assignment: { topic: string; partitions: number[] }[] }[];
  readonly partitions: readonly {
    topic: string;
    partition: number;
    committedOffset: number | null;
    logEndOffset: number | null;
    lag: number | null;
    clientId: string | null;
  }[];
}

async function ok(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await cordwood([...args, ...to], input);
  assert.equal(code, 0, stderr);
  return stdout;
}
const json = async <Answer>(...args: string[]): Promise<Answer> => JSON.parse(await ok([...args, '--json'])) as Answer;

async function describeGroup(group: string): Promise<Described> {
  const [described] = await json<Described[]>('group', 'describe', group);
  assert.ok(described !== undefined);
  return described;
}

/** Partition → committed offset. */
const committed = async (group: string): Promise<Record<string, number | null>> =>
  Object.fromEntries(
    (await describeGroup(group)).partitions.map((one) => [`${one.topic}:${one.partition}`, one.committedOffset]),
  );

/** A topic of so many partitions, with the lines in turn: partition 0 has the first, the fourth, … of three. */
async function createTopic(topic: string, partitions: number, lines: readonly string[]): Promise<void> {
  await ok(['topic', 'create', topic, '-p', String(partitions), '-r', '3']);
  for (let partition = 0; partition < partitions; partition += 1) {
    const some = lines.filter((_, at) => at % partitions === partition);
    if (some.length > 0) await produce(topic, some, '-p', String(partition));
  }
}
const produce = (topic: string, lines: readonly string[], ...more: string[]): Promise<string> =>
  ok(['produce', topic, ...more], `${lines.join('\n')}\n`);

const numbers = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, at) => String(from + at).padStart(4, '0'));
const linesOf = (stdout: string): string[] => stdout.split('\n').filter((line) => line !== '');

interface RunningConsumer {
  lines(): string[];
  /** Ctrl-C. */
  interrupt(): Promise<Finished>;
}

const running = new Set<ChildProcess>();
function startConsumer(...args: string[]): RunningConsumer {
  const child = spawnCordwood(['consume', ...args, ...to]);
  running.add(child);
  const finished = outputOf(child);
  let stdout = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  return {
    lines: () => linesOf(stdout),
    async interrupt() {
      child.kill('SIGINT');
      const end = await finished;
      running.delete(child);
      return end;
    },
  };
}
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** Until so many members share all partitions, the given number each. */
const untilShared = (group: string, ...counts: number[]): Promise<Described> =>
  until(
    `${group} is shared as ${counts}`,
    async () => {
      const described = await describeGroup(group);
      const shares = described.members.map(({ assignment }) => assignment.flatMap((one) => one.partitions).length);
      return described.state === 'Stable' && shares.sort().join() === counts.join() ? described : false;
    },
    30_000,
  );

describe('consume --group', () => {
  test('goes on where the group has come to', async () => {
    await createTopic('once', 3, numbers(0, 30));
    const first = linesOf(await ok(['consume', 'once', '-g', 'reader', '-e']));
    assert.deepEqual(first.sort(), numbers(0, 30));
    assert.deepEqual(linesOf(await ok(['consume', 'once', '-g', 'reader', '-e'])), []);
    await produce('once', numbers(30, 5));
    const second = linesOf(await ok(['consume', 'once', '-g', 'reader', '-e']));
    assert.deepEqual(second.sort(), numbers(30, 5));
    const described = await describeGroup('reader');
    assert.deepEqual([described.state, described.type, described.lag], ['Empty', 'classic', 0]);
    assert.deepEqual(described.members, []);
    assert.equal(described.partitions.length, 3);
  });

  test('commits what it printed and no more, over several topics', async () => {
    await createTopic('left', 2, numbers(0, 10));
    await createTopic('right', 1, numbers(10, 10));
    const some = linesOf(await ok(['consume', 'left', 'right', '-g', 'part', '-n', '7']));
    assert.equal(some.length, 7);
    assert.equal((await describeGroup('part')).lag, 13);
    const rest = linesOf(await ok(['consume', 'left', 'right', '-g', 'part', '-e']));
    assert.deepEqual([...some, ...rest].sort(), numbers(0, 20));
  });

  test('begins at the end where it is told to, and remembers that', async () => {
    await createTopic('fresh', 1, numbers(0, 5));
    assert.equal(await ok(['consume', 'fresh', '-g', 'late', '-o', 'latest', '-e']), '');
    await produce('fresh', numbers(5, 2));
    assert.deepEqual(linesOf(await ok(['consume', 'fresh', '-g', 'late', '-e'])), numbers(5, 2));
  });

  test('shares with another member: each line is shown once, and leaving hands over', async () => {
    await createTopic('shared', 4, numbers(0, 40));
    const one = startConsumer('shared', '-g', 'team');
    await untilShared('team', 4);
    const two = startConsumer('shared', '-g', 'team');
    const described = await untilShared('team', 2, 2);
    assert.equal(described.assignor, 'range');
    for (const { clientId } of described.partitions) assert.equal(clientId, 'cordwood-cli');
    for (const partition of ['0', '1', '2', '3'])
      await produce('shared', numbers(40 + 10 * Number(partition), 10), '-p', partition);
    await until('both have read', () => one.lines().length + two.lines().length >= 80);
    assert.ok(two.lines().length > 0, 'the second one has read nothing');
    assert.deepEqual([...one.lines(), ...two.lines()].sort(), numbers(0, 80));

    const left = await one.interrupt();
    assert.equal(left.code, 0, left.stderr);
    await untilShared('team', 4);
    for (const partition of ['0', '1', '2', '3'])
      await produce('shared', numbers(80 + 5 * Number(partition), 5), '-p', partition);
    await until('the other one has read', () => one.lines().length + two.lines().length >= 100);
    const end = await two.interrupt();
    assert.equal(end.code, 0, end.stderr);
    // Rebalances of members that leave in an orderly way show nothing twice.
    assert.deepEqual([...one.lines(), ...two.lines()].sort(), numbers(0, 100));
    const after = await describeGroup('team');
    assert.deepEqual([after.state, after.lag, after.members.length], ['Empty', 0, 0]);
  });

  test('outlives the death of its coordinator', async () => {
    await createTopic('sturdy', 3, numbers(0, 30));
    const one = startConsumer('sturdy', '-g', 'survivors');
    const { coordinator } = await untilShared('survivors', 3);
    await until('it has read', () => one.lines().length >= 30);
    const control = ['--control', dev.control];
    const killed = await cordwood(['broker', 'kill', String(coordinator.id), ...control]);
    assert.equal(killed.code, 0, killed.stderr);
    try {
      await produce('sturdy', numbers(30, 30));
      await until('it has read on', () => new Set(one.lines()).size >= 60, 60_000);
      const described = await until(
        'its offsets have a coordinator',
        async () => {
          const now = await describeGroup('survivors');
          return now.lag === 0 ? now : false;
        },
        60_000,
      );
      assert.notEqual(described.coordinator.id, coordinator.id);
      const end = await one.interrupt();
      assert.equal(end.code, 0, end.stderr);
      assert.deepEqual([...new Set(one.lines())].sort(), numbers(0, 60));
    } finally {
      const started = await cordwood(['broker', 'start', String(coordinator.id), ...control]);
      assert.equal(started.code, 0, started.stderr);
    }
  });
});

describe('group', () => {
  test('in use is neither moved nor deleted, and who holds it is named', async () => {
    await createTopic('held', 2, numbers(0, 10));
    const holder = startConsumer('held', '-g', 'busy');
    await untilShared('busy', 2);
    const seek = await cordwood(['group', 'seek', 'busy', '--to-earliest', ...to]);
    assert.equal(seek.code, 1);
    assert.match(seek.stderr, /group busy is in use: 1 member holds it: client cordwood-cli at 127\.0\.0\.1 \(\S+\)/);
    const deleted = await cordwood(['group', 'delete', 'busy', 'nowhere', ...to, '--json']);
    assert.equal(deleted.code, 1);
    assert.match(deleted.stderr, /busy: NON_EMPTY_GROUP: 1 member holds it: client cordwood-cli at /);
    assert.deepEqual(
      (JSON.parse(deleted.stdout) as { group: string; error: string }[]).map(({ group, error }) => [group, error]),
      [
        ['busy', 'NON_EMPTY_GROUP'],
        ['nowhere', 'GROUP_ID_NOT_FOUND'],
      ],
    );
    await until('it has committed', async () => (await describeGroup('busy')).lag === 0);
    const offsets = await cordwood(['group', 'offset-delete', 'busy', 'held:1', ...to]);
    assert.equal(offsets.code, 1);
    assert.match(offsets.stderr, /held-1: GROUP_SUBSCRIBED_TO_TOPIC\ngroup busy is in use: 1 member holds it/);
    assert.equal((await holder.interrupt()).code, 0);
    assert.deepEqual(await committed('busy'), { 'held:0': 5, 'held:1': 5 });
  });

  test('seek shows its plan, and carries it out', async () => {
    await createTopic('moved', 2, numbers(0, 20));
    await createTopic('other', 1, numbers(20, 3));
    await ok(['consume', 'moved', 'other', '-g', 'mover', '-e']);
    const seek = async (...args: string[]): Promise<unknown> => {
      const { partitions } = await json<{
        partitions: { topic: string; partition: number; from: number; to: number; note: string | null }[];
      }>('group', 'seek', 'mover', ...args);
      return partitions.map((one) => [`${one.topic}:${one.partition}`, one.from, one.to, one.note]);
    };
    const atEnd = { 'moved:0': 10, 'moved:1': 10, 'other:0': 3 };
    assert.deepEqual(await seek('--to-earliest', '--dry-run'), [
      ['moved:0', 10, 0, null],
      ['moved:1', 10, 0, null],
      ['other:0', 3, 0, null],
    ]);
    assert.deepEqual(await committed('mover'), atEnd);

    assert.deepEqual(await seek('--shift-by', '-4', '-t', 'moved:1', '-t', 'other'), [
      ['moved:1', 10, 6, null],
      ['other:0', 3, 0, '-1 is before the log: its start'],
    ]);
    assert.deepEqual(await committed('mover'), { 'moved:0': 10, 'moved:1': 6, 'other:0': 0 });
    assert.deepEqual(linesOf(await ok(['consume', 'moved', 'other', '-g', 'mover', '-e'])).sort(), [
      ...numbers(0, 20).filter((_, at) => at % 2 === 1 && at >= 12),
      ...numbers(20, 3),
    ]);

    assert.deepEqual(await seek('--to-offset', '7'), [
      ['moved:0', 10, 7, null],
      ['moved:1', 10, 7, null],
      ['other:0', 3, 3, '7 is beyond the log: its end'],
    ]);
    await seek('--to-latest');
    assert.deepEqual(await committed('mover'), atEnd);
    await seek('--to-datetime', '2001-01-01');
    assert.deepEqual(await committed('mover'), { 'moved:0': 0, 'moved:1': 0, 'other:0': 0 });
    assert.deepEqual(await seek('--to-datetime', '2901-01-01T00:00Z', '-t', 'other'), [
      ['other:0', 0, 3, 'no record is that young: the log end'],
    ]);
    assert.deepEqual(await seek('--to-current', '-t', 'other:0'), [['other:0', 3, 3, null]]);
  });

  test('seek can begin a group', async () => {
    await createTopic('begun', 2, numbers(0, 4));
    const missing = await cordwood(['group', 'seek', 'beginner', '--to-latest', ...to]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /there is no group beginner .*; --topic would begin it/);
    await ok(['group', 'seek', 'beginner', '--to-latest', '-t', 'begun']);
    assert.deepEqual(await committed('beginner'), { 'begun:0': 2, 'begun:1': 2 });
  });

  test('offsets of a topic can be deleted, some or all of them', async () => {
    await createTopic('gone', 3, numbers(0, 9));
    await ok(['consume', 'gone', '-g', 'forgetful', '-e']);
    const some = await ok(['group', 'offset-delete', 'forgetful', 'gone:0,2']);
    assert.equal(some, 'deleted the offset of gone-0\ndeleted the offset of gone-2\n');
    assert.deepEqual(await committed('forgetful'), { 'gone:1': 3 });
    await ok(['group', 'offset-delete', 'forgetful', 'gone']);
    const none = await cordwood(['group', 'offset-delete', 'forgetful', 'gone', ...to]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /has no offsets of gone|there is no group forgetful/);
  });

  test('delete deletes groups that nobody is in', async () => {
    await createTopic('short', 1, numbers(0, 2));
    await ok(['consume', 'short', '-g', 'gone-1', '-e']);
    await ok(['consume', 'short', '-g', 'gone-2', '-e']);
    assert.equal(await ok(['group', 'delete', 'gone-1', 'gone-2']), 'deleted gone-1\ndeleted gone-2\n');
    const missing = await cordwood(['group', 'describe', 'gone-1', ...to]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^cordwood: there is no group gone-1 \(/);
    assert.deepEqual(linesOf(await ok(['consume', 'short', '-g', 'gone-1', '-e'])), numbers(0, 2));
  });

  test('of the new protocol shows as such', async () => {
    await createTopic('modern', 3, numbers(0, 6));
    const consumer = new Consumer({
      clientId: 'modern-client',
      groupId: 'new',
      groupProtocol: 'consumer',
      bootstrapBrokers: [...dev.bootstrap],
    });
    const stream = await consumer.consume({ topics: ['modern'], mode: 'committed', fallbackMode: 'earliest' });
    stream.on('data', () => {});
    const described = await untilShared('new', 3);
    assert.deepEqual([described.type, described.members[0]?.clientId], ['consumer', 'modern-client']);
    assert.notEqual(described.assignor, '');
    const listed = await json<{ group: string; type: string }[]>('group', 'list', '--type', 'consumer');
    assert.deepEqual(
      listed.map(({ group }) => group),
      ['new'],
    );
    const seek = await cordwood(['group', 'seek', 'new', '--to-earliest', ...to]);
    assert.equal(seek.code, 1);
    assert.match(seek.stderr, /group new is in use: 1 member holds it: client modern-client at /);
    await stream.close();
    await consumer.close();
    await until('it is empty', async () => (await describeGroup('new')).state === 'Empty');
    await ok(['group', 'seek', 'new', '--to-earliest', '-t', 'modern']);
    assert.equal((await describeGroup('new')).lag, 6);
    await ok(['group', 'delete', 'new']);
  });

  test('list names groups, and those of a state or type in any case', async () => {
    await createTopic('listed', 1, numbers(0, 1));
    await ok(['consume', 'listed', '-g', 'idle', '-e']);
    const busy = startConsumer('listed', '-g', 'awake');
    await untilShared('awake', 1);
    const names = async (...args: string[]): Promise<string[]> =>
      (await json<{ group: string }[]>('group', 'list', ...args))
        .map(({ group }) => group)
        .filter((group) => group === 'idle' || group === 'awake');
    assert.deepEqual(await names(), ['awake', 'idle']);
    assert.deepEqual(await names('--state', 'empty,dead'), ['idle']);
    assert.deepEqual(await names('--state', 'STABLE', '--type', 'Classic'), ['awake']);
    assert.deepEqual(await names('--type', 'consumer'), []);
    assert.equal((await busy.interrupt()).code, 0);
  });

  test('with wrong usage ends with 2, whatever it is', async () => {
    const wrong = [
      ['group', 'seek', 'any'],
      ['group', 'seek', 'any', '--to-earliest', '--to-latest'],
      ['group', 'seek', 'any', '--to-offset', '-1'],
      ['group', 'seek', 'any', '--to-datetime', 'yesterday'],
      ['group', 'seek', 'any', '--to-latest', '-t', 'orders:'],
      ['group', 'list', '--state', 'asleep'],
      ['group', 'list', '--type', 'share'],
      ['consume', 'any', '-g', 'any', '-p', '0'],
      ['consume', 'any', '-g', 'any', '-o', '7'],
    ];
    for (const args of wrong) assert.equal((await cordwood([...args, ...to])).code, 2, args.join(' '));
    const nobody = await cordwood(['group', 'list', '--bootstrap', '127.0.0.1:1']);
    assert.equal(nobody.code, 3);
  });
});
