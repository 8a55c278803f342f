import assert from 'node:assert/strict';
import * as kafka from '@platformatic/kafka';
import { beforeEach, test } from 'vitest';
import { GroupClient, type GroupModules, noMember } from '../../../../src/cli/client/group-client.ts';
import { ManualTime } from '../../../support/manual-time.ts';

let time: ManualTime;
/** Who FindCoordinator names, one after the other, the last one for ever; an error where it is below zero. */
let coordinators: number[];
/** Api → its answers, one after the other, the last one for ever; an Error is thrown. */
let answers: Map<unknown, unknown[]>;
let asked: [nodeId: number, api: unknown, args: readonly unknown[]][];
beforeEach(() => {
  time = new ManualTime();
  [coordinators, answers, asked] = [[1], new Map(), []];
});

const next = <Item>(list: Item[]): Item | undefined => (list.length > 1 ? list.shift() : list[0]);

function groups(): GroupClient {
  const client = {
    metadata: async () => ({ brokers: [{ nodeId: 1 }, { nodeId: 2 }] }),
    learnNode: () => {},
    requestAny: async () => {
      const nodeId = next(coordinators) ?? -1;
      const errorCode = nodeId < 0 ? -nodeId : 0;
      return { coordinators: [{ nodeId, host: `host${nodeId}`, port: 9092, errorCode }] };
    },
    request: async (nodeId: number, api: unknown, ...args: unknown[]) => {
      asked.push([nodeId, api, args]);
      const answer = next(answers.get(api) ?? []);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  return new GroupClient({ client: client as unknown as GroupModules['client'], clock: time, timers: time });
}

/** With time moving on while it asks. */
async function whileTimePasses<Result>(result: Promise<Result>): Promise<Result> {
  result.catch(() => {});
  await time.advance(60_000);
  return result;
}

const { consumerGroupDescribeV0, deleteGroupsV2, describeGroupsV5, listGroupsV5, offsetCommitV9, offsetFetchV9 } =
  kafka;
const deleted = (errorCode: number) => ({ results: [{ groupId: 'g', errorCode }] });

test('a coordinator that moves, loads or breaks off is asked for and asked again', async () => {
  coordinators = [-15, 1, 2];
  answers.set(deleteGroupsV2.api, [deleted(16), deleted(14), new Error('connection reset'), deleted(0)]);
  assert.equal(await whileTimePasses(groups().delete('g')), 0);
  assert.deepEqual(
    asked.map(([nodeId]) => nodeId),
    [1, 2, 2, 2],
  );
});

test('a coordinator that never comes is given up, with the last reason', async () => {
  answers.set(deleteGroupsV2.api, [deleted(14)]);
  await assert.rejects(whileTimePasses(groups().delete('g')), {
    name: 'CliError',
    message: 'group g: COORDINATOR_LOAD_IN_PROGRESS',
  });
});

test('a refusal is an answer', async () => {
  answers.set(deleteGroupsV2.api, [deleted(68)]);
  assert.equal(await groups().delete('g'), 68);
  assert.equal(asked.length, 1);
});

const classic = (more: object = {}) => ({
  groups: [
    { errorCode: 0, groupState: 'Stable', protocolType: 'consumer', protocolData: 'range', members: [], ...more },
  ],
});
const notKip848 = { groups: [{ errorCode: 69 }] };
const member = (memberAssignment: Buffer) => ({
  memberId: 'm',
  groupInstanceId: null,
  clientId: 'c',
  clientHost: '/10.0.0.1',
  memberAssignment,
});

test('a group of KIP-848 is described by ConsumerGroupDescribe', async () => {
  const topicPartitions = [{ topicName: 'orders', partitions: [1, 2] }];
  answers.set(consumerGroupDescribeV0.api, [
    {
      groups: [
        {
          errorCode: 0,
          groupState: 'Stable',
          groupEpoch: 7,
          assignorName: 'uniform',
          members: [
            { memberId: 'm', instanceId: 'i', clientId: 'c', clientHost: '/10.0.0.1', assignment: { topicPartitions } },
          ],
        },
      ],
    },
  ]);
  const group = await groups().describe('g');
  assert.deepEqual(
    [group?.type, group?.groupEpoch, group?.assignor, group?.coordinator],
    ['consumer', 7, 'uniform', { id: 1, address: 'host1:9092' }],
  );
  assert.deepEqual(group?.members, [
    {
      memberId: 'm',
      instanceId: 'i',
      clientId: 'c',
      host: '10.0.0.1',
      assignment: [{ topic: 'orders', partitions: [1, 2] }],
    },
  ]);
  assert.equal(asked.length, 1);
});

test('a classic group by DescribeGroups, its assignment read as that of consumers', async () => {
  const bytes = kafka.encodeConsumerProtocolAssignment({
    version: 1,
    assignedPartitions: [{ topic: 'orders', partitions: [0, 3] }],
  });
  answers.set(consumerGroupDescribeV0.api, [notKip848]);
  answers.set(describeGroupsV5.api, [classic({ members: [member(bytes)] })]);
  const group = await groups().describe('g');
  assert.deepEqual([group?.type, group?.state, group?.assignor], ['classic', 'Stable', 'range']);
  assert.deepEqual(group?.members[0]?.assignment, [{ topic: 'orders', partitions: [0, 3] }]);
  assert.equal(group?.members[0]?.host, '10.0.0.1');
});

test('an assignment that nobody can read is shown as none', async () => {
  answers.set(consumerGroupDescribeV0.api, [notKip848]);
  const broken = Buffer.from([0, 0, 0, 0, 0, 9, 1]);
  answers.set(describeGroupsV5.api, [classic({ members: [member(broken)] })]);
  assert.deepEqual((await groups().describe('g'))?.members[0]?.assignment, []);
  answers.set(describeGroupsV5.api, [classic({ protocolType: 'connect', members: [member(broken)] })]);
  assert.deepEqual((await groups().describe('g'))?.members[0]?.assignment, []);
});

test('a dead group is none', async () => {
  answers.set(consumerGroupDescribeV0.api, [notKip848]);
  answers.set(describeGroupsV5.api, [classic({ groupState: 'Dead', protocolType: '', protocolData: '' })]);
  assert.equal(await groups().describe('g'), null);
});

test('partitions without an offset are left out', async () => {
  const partitions = [
    { partitionIndex: 0, committedOffset: 0n, errorCode: 0 },
    { partitionIndex: 1, committedOffset: -1n, errorCode: 0 },
  ];
  answers.set(offsetFetchV9.api, [{ groups: [{ errorCode: 0, topics: [{ name: 'orders', partitions }] }] }]);
  assert.deepEqual(await groups().committedOffsets('g'), [{ topic: 'orders', partition: 0, committedOffset: 0n }]);
});

test('an offset whose transaction is not over is asked for again', async () => {
  const topics = (errorCode: number, committedOffset: bigint) => [
    { name: 'orders', partitions: [{ partitionIndex: 0, committedOffset, errorCode }] },
  ];
  answers.set(offsetFetchV9.api, [
    { groups: [{ errorCode: 0, topics: topics(88, -1n) }] },
    { groups: [{ errorCode: 0, topics: topics(0, 4n) }] },
  ]);
  const wanted = { partitions: [{ topic: 'orders', partition: 0 }], requireStable: true };
  const [found] = await whileTimePasses(groups().committedOffsets('g', wanted));
  assert.equal(found?.committedOffset, 4n);
});

test('a commit names each topic once and has a result per partition', async () => {
  const partitions = [
    { partitionIndex: 0, errorCode: 0 },
    { partitionIndex: 1, errorCode: 25 },
  ];
  answers.set(offsetCommitV9.api, [{ topics: [{ name: 'orders', partitions }] }]);
  const offsets = [0, 1].map((partition) => ({ topic: 'orders', partition, committedOffset: 5n }));
  assert.deepEqual(await groups().commit('g', offsets, noMember), [
    { topic: 'orders', partition: 0, errorCode: 0 },
    { topic: 'orders', partition: 1, errorCode: 25 },
  ]);
  const [group, generation, memberId, , topics] = asked[0]?.[2] ?? [];
  assert.deepEqual([group, generation, memberId, (topics as unknown[]).length], ['g', -1, '', 1]);
});

test('a list is of all brokers, each group once, and says who was silent', async () => {
  const one = (groupId: string) => ({ groupId, groupType: 'classic', protocolType: 'consumer', groupState: 'Empty' });
  const list = (...ids: string[]) => ({ errorCode: 0, groups: ids.map(one) });
  answers.set(listGroupsV5.api, [list('b', 'c'), list('a', 'b')]);
  const both = await groups().listGroups();
  assert.deepEqual(
    both.groups.map(({ group }) => group),
    ['a', 'b', 'c'],
  );
  assert.deepEqual(both.silent, []);
  answers.set(listGroupsV5.api, [new Error('connection reset')]);
  const none = await whileTimePasses(groups().listGroups());
  assert.deepEqual(none.groups, []);
  assert.deepEqual(none.silent, ['broker 1: connection reset', 'broker 2: connection reset']);
});
