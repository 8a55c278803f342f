/**
 * Everything that can be asked of a group coordinator, changed at random, and what is well formed and means harm: names of
 * 32,767 bytes, thousands of groups, topics or members in one request, patterns, what no batch of the log can hold. Meanwhile
 * a group that behaves beats, commits, and reads what it has committed.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Api } from '../../src/wire/api.ts';
import { offsetCommitApi } from '../../src/wire/messages/08-offset-commit.ts';
import { offsetFetchApi } from '../../src/wire/messages/09-offset-fetch.ts';
import { findCoordinatorApi } from '../../src/wire/messages/10-find-coordinator.ts';
import { joinGroupApi } from '../../src/wire/messages/11-join-group.ts';
import { heartbeatApi } from '../../src/wire/messages/12-heartbeat.ts';
import { leaveGroupApi } from '../../src/wire/messages/13-leave-group.ts';
import { syncGroupApi } from '../../src/wire/messages/14-sync-group.ts';
import { describeGroupsApi } from '../../src/wire/messages/15-describe-groups.ts';
import { listGroupsApi } from '../../src/wire/messages/16-list-groups.ts';
import { createTopicsApi } from '../../src/wire/messages/19-create-topics.ts';
import { deleteGroupsApi } from '../../src/wire/messages/42-delete-groups.ts';
import { offsetDeleteApi } from '../../src/wire/messages/47-offset-delete.ts';
import { consumerGroupHeartbeatApi } from '../../src/wire/messages/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribeApi } from '../../src/wire/messages/69-consumer-group-describe.ts';
import { encodeRequest } from '../../src/wire/request-response.ts';
import { BrokerProcess } from '../support/broker-process.ts';
import { temporaryDirectory } from '../support/cordwood-process.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';
import { Mutator } from './wire/mutator.ts';

const data = temporaryDirectory();
const host = '127.0.0.1';
const topic = 'orders';
const metadata = Buffer.from([0, 0, 0, 0, 0, 1, 0, 6, ...Buffer.from(topic), 0, 0, 0, 0]);
let broker: BrokerProcess;
let topicId = '';

const open = (clientId?: string): Promise<WireClient> =>
  WireClient.open({ host, port: broker.ports.kafka }, ...(clientId === undefined ? [] : [clientId]));

beforeAll(async () => {
  broker = await BrokerProcess.start({
    'log.dirs': data.path,
    'offsets.topic.num.partitions': '3',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1',
  });
  const client = await open();
  const topics = [{ name: topic, numPartitions: 4, replicationFactor: 1 }];
  const created = await client.ask(createTopicsApi, 7, { topics, timeoutMs: 10_000 });
  topicId = created.topics[0]?.topicId ?? '';
  await until('there are coordinators', async () => {
    const coordinatorKeys = ['a', 'b', 'c'];
    const { coordinators } = await client.ask(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys });
    return coordinators.every(({ errorCode }) => errorCode === 0);
  });
  client.close();
}, 60_000);
afterAll(async () => {
  await broker?.kill();
  data.remove();
});

const joinOf = (groupId: string, changes: object = {}) => ({
  groupId,
  sessionTimeoutMs: 30_000,
  rebalanceTimeoutMs: 1000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata }],
  ...changes,
});
const commitOf = (groupId: string, committedOffset: bigint, changes: object = {}) => ({
  groupId,
  topics: [{ name: topic, topicId, partitions: [{ partitionIndex: 0, committedOffset }] }],
  ...changes,
});
const fetchOf = (groupId: string) => ({ groups: [{ groupId, topics: [{ name: topic, partitionIndexes: [0] }] }] });

let steadyGroups = 0;

/** Runs `noise` while a group that behaves goes on; it must not see anything of it. */
async function unharmed(noise: () => Promise<void>): Promise<void> {
  const groupId = `steady-${steadyGroups++}`;
  const client = await open();
  const { errorCode, memberId, generationId } = await client.ask(joinGroupApi, 3, joinOf(groupId));
  assert.equal(errorCode, 0);
  const member = { groupId, memberId, generationId };
  const assignments = [{ memberId, assignment: Buffer.from('all') }];
  assert.equal((await client.ask(syncGroupApi, 3, { ...member, assignments })).errorCode, 0);
  let isOver = false;
  let rounds = 0n;
  const steady = async (): Promise<void> => {
    do {
      rounds++;
      assert.equal((await client.ask(heartbeatApi, 3, member)).errorCode, 0);
      const commit = commitOf(groupId, rounds, { memberId, generationIdOrMemberEpoch: generationId });
      const committed = await client.ask(offsetCommitApi, 8, commit);
      assert.equal(committed.topics[0]?.partitions[0]?.errorCode, 0);
      const fetched = await client.ask(offsetFetchApi, 8, fetchOf(groupId));
      assert.equal(fetched.groups[0]?.topics[0]?.partitions[0]?.committedOffset, rounds);
    } while (!isOver);
  };
  const going = steady();
  try {
    await Promise.race([noise(), going]);
  } finally {
    isOver = true;
    await going;
  }
  client.close();
  assert.ok(broker.isRunning);
}

/** What one client gets back for what it asks. */
async function asClient<Answer>(ask: (client: WireClient) => Promise<Answer>, clientId?: string): Promise<Answer> {
  const client = await open(clientId);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

test('thousands of changed requests end or are answered, with at most one line each', async () => {
  const seed = Number(process.env.SEED ?? 1);
  const mutator = new Mutator(seed);
  const member = { groupId: 'noise', memberId: 'm', generationId: 1 };
  const requests: readonly (readonly [unknown, readonly number[], object])[] = [
    [offsetCommitApi, [2, 6, 8, 10], commitOf('noise', 7n)],
    [offsetFetchApi, [1, 7], { groupId: 'noise', topics: [{ name: topic, partitionIndexes: [0] }] }],
    [offsetFetchApi, [8, 10], { groups: [{ groupId: 'noise', topics: null }] }],
    [findCoordinatorApi, [0, 3, 6], { key: 'noise', coordinatorKeys: ['noise', 'other'] }],
    [joinGroupApi, [0, 3, 5], joinOf('noise')],
    [joinGroupApi, [5, 9], joinOf('noise', { groupInstanceId: 'i' })],
    [heartbeatApi, [0, 4], member],
    [leaveGroupApi, [0], member],
    [leaveGroupApi, [3, 5], { groupId: 'noise', members: [{ memberId: 'm' }, { groupInstanceId: 'i' }] }],
    [
      syncGroupApi,
      [0, 3, 5],
      { ...member, protocolType: 'consumer', protocolName: 'range', assignments: [{ memberId: 'm' }] },
    ],
    [describeGroupsApi, [0, 5, 6], { groups: ['noise', 'other'] }],
    [listGroupsApi, [0, 5], { statesFilter: ['Stable'], typesFilter: ['classic'] }],
    [deleteGroupsApi, [0, 2], { groupsNames: ['noise'] }],
    [offsetDeleteApi, [0], { groupId: 'noise', topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }] }],
    [
      consumerGroupHeartbeatApi,
      [0, 1],
      {
        groupId: 'noise-2',
        memberId: 'm',
        rebalanceTimeoutMs: 1000,
        subscribedTopicNames: [topic],
        topicPartitions: [],
      },
    ],
    [consumerGroupDescribeApi, [0, 1], { groupIds: ['noise-2'] }],
  ];
  const originals = requests.flatMap(([api, versions, body]) =>
    versions.map((version) => {
      const header = { correlationId: 7, clientId: 'noise' };
      const { chunks } = encodeRequest(api as Api, version, header, body as never);
      return Buffer.concat(chunks).subarray(4);
    }),
  );
  const count = 4000;
  const before = broker.complaints.length;
  await unharmed(async () => {
    for (let round = 0; round < count / 50; round++)
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const socket = connect(broker.ports.kafka, host);
          const body = mutator.mutate(mutator.pick(originals));
          const size = Buffer.alloc(4);
          size.writeInt32BE(body.length);
          const gone = closed(socket);
          socket.end(Buffer.concat([size, body]));
          socket.resume();
          await gone;
        }),
      );
  });
  assert.ok(broker.complaints.length - before <= count, `seed ${seed}: ${broker.complaints.length - before} lines`);
});

describe('names', () => {
  test('of any characters are taken and told as they are', async () => {
    const names = ['\u0000', 'a\u0000b', '\ufffd', '🪵', ' ', 'x'.repeat(32_767)];
    await unharmed(async () => {
      for (const name of names) {
        const committed = await asClient((client) => client.ask(offsetCommitApi, 8, commitOf(name, 5n)));
        assert.equal(committed.topics[0]?.partitions[0]?.errorCode, 0);
        const fetched = await asClient((client) => client.ask(offsetFetchApi, 8, fetchOf(name)));
        assert.equal(fetched.groups[0]?.topics[0]?.partitions[0]?.committedOffset, 5n);
      }
      const { groups } = await asClient((client) => client.ask(listGroupsApi, 5));
      const listed = new Set(groups.map(({ groupId }) => groupId));
      for (const name of names) assert.ok(listed.has(name), JSON.stringify(name.slice(0, 10)));
      const deleted = await asClient((client) => client.ask(deleteGroupsApi, 2, { groupsNames: names }));
      assert.deepEqual(
        deleted.results.map(({ errorCode }) => errorCode),
        names.map(() => 0),
      );
    });
  });

  test('of bytes that are no UTF-8 do not keep anybody from being told of groups', async () => {
    const good = Buffer.concat(
      encodeRequest(joinGroupApi, 4, { correlationId: 1, clientId: 'noise' }, joinOf('z'.repeat(20_000))).chunks,
    );
    const bad = Buffer.from(good.map((byte) => (byte === 0x7a ? 0xff : byte)));
    await unharmed(async () => {
      await asClient((client) => assert.rejects(client.askBytes(bad)));
      assert.equal((await asClient((client) => client.ask(listGroupsApi, 0))).errorCode, 0);
    });
  });

  test('of a client that are as long as can be make ids that can be told', async () => {
    await unharmed(async () => {
      const joined = await asClient(
        (client) => client.ask(joinGroupApi, 3, joinOf('long', { sessionTimeoutMs: 10_000 })),
        'c'.repeat(32_767),
      );
      assert.equal(joined.errorCode, 0);
      const { groups } = await asClient((client) => client.ask(describeGroupsApi, 0, { groups: ['long'] }));
      assert.deepEqual([groups[0]?.errorCode, groups[0]?.members[0]?.memberId], [0, joined.memberId]);
      await asClient((client) => client.ask(leaveGroupApi, 0, { groupId: 'long', memberId: joined.memberId }));
    });
  });

  test('of an instance are not taken over with an id given to somebody else', async () => {
    await unharmed(async () => {
      const holder = await asClient((client) => client.ask(joinGroupApi, 5, joinOf('st', { groupInstanceId: 'i' })));
      assert.equal(holder.errorCode, 0);
      const { memberId } = await asClient((client) => client.ask(joinGroupApi, 5, joinOf('st')));
      const taking = await asClient((client) =>
        client.ask(joinGroupApi, 5, joinOf('st', { memberId, groupInstanceId: 'i' })),
      );
      assert.equal(taking.errorCode, 82);
    });
  });
});

describe('as many as fit into a request', () => {
  const many = Array.from({ length: 100_000 }, (_, index) => `g-${index}`);

  test('groups are found, described, fetched and deleted', async () => {
    await unharmed(() =>
      asClient(async (client) => {
        const found = await client.ask(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: many });
        assert.equal(found.coordinators.filter(({ errorCode }) => errorCode === 0).length, many.length);
        const described = await client.ask(describeGroupsApi, 6, { groups: many });
        assert.equal(described.groups.filter(({ errorCode }) => errorCode === 69).length, many.length);
        const consumers = await client.ask(consumerGroupDescribeApi, 1, { groupIds: many });
        assert.equal(consumers.groups.filter(({ errorCode }) => errorCode === 69).length, many.length);
        const groups = many.map((groupId) => ({ groupId, topics: null }));
        const fetched = await client.ask(offsetFetchApi, 8, { groups });
        assert.equal(fetched.groups.filter(({ errorCode }) => errorCode === 0).length, many.length);
        const deleted = await client.ask(deleteGroupsApi, 2, { groupsNames: many });
        assert.equal(deleted.results.filter(({ errorCode }) => errorCode === 69).length, many.length);
      }),
    );
  });

  test('a group that is asked for a thousand times is told once', async () => {
    const groups = Array.from({ length: 1000 }, () => 'one');
    const described = await asClient((client) => client.ask(describeGroupsApi, 5, { groups }));
    assert.deepEqual(
      described.groups.map(({ groupId }) => groupId),
      ['one'],
    );
    const asked = groups.map((groupId) => ({ groupId, topics: null }));
    const fetched = await asClient((client) => client.ask(offsetFetchApi, 8, { groups: asked }));
    assert.deepEqual(new Set(fetched.groups.slice(1).map(({ errorCode }) => errorCode)), new Set([42]));
  });

  test('states and types are listed by, and members leave', async () => {
    await unharmed(() =>
      asClient(async (client) => {
        const half = many.slice(0, many.length / 2);
        const listed = await client.ask(listGroupsApi, 5, { statesFilter: [...half, 'STABLE'], typesFilter: half });
        assert.deepEqual([listed.errorCode, listed.groups], [0, []]);
        const { errorCode } = await client.ask(joinGroupApi, 3, joinOf('left', { sessionTimeoutMs: 5000 }));
        assert.equal(errorCode, 0);
        const members = many.map((memberId) => ({ memberId }));
        const left = await client.ask(leaveGroupApi, 5, { groupId: 'left', members });
        assert.equal(left.members.filter((member) => member.errorCode === 25).length, many.length);
      }),
    );
  });

  test('topics are subscribed to by a member of the new protocol: more than can be written is refused', async () => {
    await unharmed(() =>
      asClient(async (client) => {
        const joined = await client.ask(consumerGroupHeartbeatApi, 1, {
          groupId: 'wide',
          memberId: 'm',
          rebalanceTimeoutMs: 1000,
          subscribedTopicNames: many.map((name) => `${name}-of-a-long-name`),
          topicPartitions: [],
        });
        assert.notEqual(joined.errorCode, 0);
        const { groups } = await client.ask(consumerGroupDescribeApi, 1, { groupIds: ['wide'] });
        assert.equal(groups[0]?.errorCode, 69);
      }),
    );
  });

  test('positions are committed: all or none', async () => {
    await unharmed(() =>
      asClient(async (client) => {
        const partitions = many.map((_, index) => ({ partitionIndex: index % 4, committedOffset: BigInt(index) }));
        const commit = { groupId: 'much', topics: [{ name: topic, partitions }] };
        const codes = (await client.ask(offsetCommitApi, 8, commit)).topics[0]?.partitions.map((one) => one.errorCode);
        assert.deepEqual(new Set(codes), new Set([28]));
        const fetched = await client.ask(offsetFetchApi, 8, fetchOf('much'));
        assert.equal(fetched.groups[0]?.topics[0]?.partitions[0]?.committedOffset, -1n);
      }),
    );
  });
});

test('a small request for very much metadata ends its connection', async () => {
  const committedMetadata = 'm'.repeat(4096);
  const partitions = [{ partitionIndex: 0, committedOffset: 1n, committedMetadata }];
  const partitionIndexes = Array.from({ length: 500_000 }, () => 0);
  const groups = [{ groupId: 'wordy', topics: [{ name: topic, partitionIndexes }] }];
  await unharmed(async () => {
    const commit = { groupId: 'wordy', topics: [{ name: topic, partitions }] };
    const committed = await asClient((client) => client.ask(offsetCommitApi, 8, commit));
    assert.equal(committed.topics[0]?.partitions[0]?.errorCode, 0);
    await asClient((client) => assert.rejects(client.ask(offsetFetchApi, 8, { groups }), /closed the connection/));
    const asked = { groupId: 'wordy', topics: [{ name: topic, partitionIndexes }] };
    await asClient((client) => assert.rejects(client.ask(offsetFetchApi, 5, asked), /closed the connection/));
  });
});

test('a group that no batch can hold is not written, and goes on when its large member is gone', async () => {
  const groupId = 'heavy';
  await unharmed(() =>
    asClient(async (client) => {
      const tooHeavy = joinOf(groupId, { protocols: [{ name: 'range', metadata: Buffer.alloc(2_000_000) }] });
      assert.equal((await client.ask(joinGroupApi, 3, tooHeavy)).errorCode, 42);
      const protocols = [{ name: 'range', metadata: Buffer.alloc(1_048_500) }];
      const heavy = await client.ask(joinGroupApi, 3, joinOf(groupId, { protocols }));
      assert.equal(heavy.errorCode, 0);
      const { memberId, generationId } = heavy;
      const sync = (id: string, generation: number) =>
        client.ask(syncGroupApi, 3, {
          groupId,
          memberId: id,
          generationId: generation,
          assignments: [{ memberId: id, assignment: Buffer.from('all') }],
        });
      assert.notEqual((await sync(memberId, generationId)).errorCode, 0);
      assert.equal((await client.ask(leaveGroupApi, 3, { groupId, members: [{ memberId }] })).errorCode, 0);
      const light = await client.ask(joinGroupApi, 3, joinOf(groupId));
      assert.equal((await sync(light.memberId, light.generationId)).errorCode, 0);
    }),
  );
});

test('groups that are made up, with all that a member may say, have no room beyond a limit', async () => {
  const protocols = [{ name: 'range', metadata: Buffer.alloc(1_000_000) }];
  const longest = { sessionTimeoutMs: 1_800_000, rebalanceTimeoutMs: 1_800_000 };
  const codes: number[] = [];
  const left: { groupId: string; memberId: string }[] = [];
  await unharmed(async () => {
    for (let made = 0; made < 200 && codes.at(-1) !== 15; made++) {
      const groupId = `made-up-${made}`;
      // Whoever was let in is gone at once, and stays a member for as long as it said.
      const joined = await asClient((client) =>
        client.ask(joinGroupApi, 3, joinOf(groupId, { protocols, ...longest })),
      );
      codes.push(joined.errorCode);
      if (joined.errorCode === 0) left.push({ groupId, memberId: joined.memberId });
    }
    assert.equal(codes.at(-1), 15);
    assert.ok(left.length > 100, `${left.length} groups were let in`);
    // A group that somebody has made before goes on: `unharmed` sees to it; a new one waits until there is room.
    await asClient(async (client) => {
      const [first, ...others] = left;
      for (const member of first ? [first] : []) await client.ask(leaveGroupApi, 0, member);
      assert.equal((await client.ask(joinGroupApi, 3, joinOf('there-is-room'))).errorCode, 0);
      for (const member of others) await client.ask(leaveGroupApi, 0, member);
    });
  });
}, 60_000);

test('patterns that mean harm are refused or matched, and leave others their turn', async () => {
  const patterns = [
    '[',
    '(?=x)',
    '(a*)*b',
    '(.?){999}',
    `(?:${'x|'.repeat(4000)}y)`,
    '('.repeat(4000),
    'x'.repeat(30_000),
  ];
  await unharmed(() =>
    asClient(async (client) => {
      for (const [index, subscribedTopicRegex] of patterns.entries()) {
        const member = { groupId: 'pattern', memberId: `m-${index}`, rebalanceTimeoutMs: 1000, topicPartitions: [] };
        const joined = await client.ask(consumerGroupHeartbeatApi, 1, { ...member, subscribedTopicRegex });
        assert.ok([0, 128].includes(joined.errorCode), `${subscribedTopicRegex.slice(0, 20)}: ${joined.errorCode}`);
      }
    }),
  );
});
