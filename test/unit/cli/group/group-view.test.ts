import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { DescribedGroup, GroupMember, ListedGroup } from '../../../../src/cli/client/group-client.ts';
import {
  descriptionLines,
  holdersOf,
  partitionRows,
  selectGroups,
  totalLag,
} from '../../../../src/cli/group/group-view.ts';

const member = (name: string, partitions: readonly number[], instanceId: string | null = null): GroupMember => ({
  memberId: `${name}-1f`,
  instanceId,
  clientId: name,
  host: '10.0.0.1',
  assignment: partitions.length === 0 ? [] : [{ topic: 'orders', partitions }],
});
const committed = [
  { topic: 'orders', partition: 1, committedOffset: 40n },
  { topic: 'audit', partition: 0, committedOffset: 12n },
];
const logEnds = new Map([
  ['orders-0', 7n],
  ['orders-1', 100n],
  ['audit-0', 10n],
]);

test('there is a row for what has an offset and for what a member holds, in order', () => {
  const rows = partitionRows([member('a', [0, 1]), member('b', [])], committed, logEnds);
  assert.deepEqual(
    rows.map(({ topic, partition, committedOffset, logEndOffset, lag, clientId }) => [
      topic,
      partition,
      committedOffset,
      logEndOffset,
      lag,
      clientId,
    ]),
    [
      // The log lost its tail: that shows.
      ['audit', 0, 12, 10, -2, null],
      // Held, and nothing committed yet: nobody knows how far behind it is.
      ['orders', 0, null, 7, null, 'a'],
      ['orders', 1, 40, 100, 60, 'a'],
    ],
  );
  assert.equal(totalLag(rows), 58);
});

test('a partition whose leader does not answer has no lag', () => {
  const [row] = partitionRows([], [{ topic: 'orders', partition: 0, committedOffset: 5n }], new Map());
  assert.deepEqual([row?.committedOffset, row?.logEndOffset, row?.lag], [5, null, null]);
});

const described: DescribedGroup = {
  group: 'billing',
  type: 'classic',
  protocolType: 'consumer',
  state: 'Stable',
  assignor: 'range',
  groupEpoch: null,
  coordinator: { id: 2, address: '127.0.0.1:9093' },
  members: [member('a', [0, 1], 'left')],
};

test('a description has the group, its members and its partitions', () => {
  const lines = descriptionLines(described, partitionRows(described.members, committed, logEnds));
  assert.deepEqual(lines, [
    'billing  state Stable  type classic  protocol consumer  assignor range  coordinator 2 at 127.0.0.1:9093  lag 58',
    '',
    'MEMBER  INSTANCE  CLIENT  HOST      PARTITIONS',
    'a-1f    left      a       10.0.0.1           2',
    '',
    'TOPIC   PARTITION  COMMITTED  LOG END  LAG  MEMBER  CLIENT  HOST',
    'audit           0         12       10   -2  -       -       -',
    'orders          0          -        7    -  a-1f    a       10.0.0.1',
    'orders          1         40      100   60  a-1f    a       10.0.0.1',
  ]);
});

test('a group of KIP-848 shows its epoch, an empty one that nobody is in', () => {
  const group: DescribedGroup = {
    ...described,
    type: 'consumer',
    state: 'Empty',
    assignor: '',
    groupEpoch: 4,
    members: [],
  };
  assert.deepEqual(descriptionLines(group, []), [
    'billing  state Empty  type consumer  epoch 4  coordinator 2 at 127.0.0.1:9093  lag 0',
    '',
    'no members',
    '',
    'no offsets, and no partition is assigned',
  ]);
});

test('holders are named by client, host and member', () => {
  assert.equal(holdersOf([member('a', [])]), '1 member holds it: client a at 10.0.0.1 (a-1f)');
  assert.equal(
    holdersOf([member('a', []), member('b', [], 'right')]),
    '2 members hold it: client a at 10.0.0.1 (a-1f), client b at 10.0.0.1 (instance right, b-1f)',
  );
});

const listed = (group: string, state: string, type: string): ListedGroup => ({
  group,
  state,
  type,
  protocolType: 'consumer',
  coordinator: 1,
});
const all = [listed('a', 'Stable', 'classic'), listed('b', 'Empty', 'consumer'), listed('c', 'Empty', 'classic')];

const selections = [
  [[], [], 'abc'],
  [['STABLE'], [], 'a'],
  [['empty', 'stable'], [], 'abc'],
  [['Empty'], ['Classic'], 'c'],
  [['Dead'], [], ''],
] as const;

for (const [states, types, expected] of selections)
  test(`states [${states}] and types [${types}] select ${expected || 'nothing'}`, () => {
    assert.equal(
      selectGroups(all, states, types)
        .map(({ group }) => group)
        .join(''),
      expected,
    );
  });
