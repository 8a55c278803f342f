import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { AdminItemResult, NewTopic } from '../../../src/controller/control-messages.ts';
import { brokerId, type TopicId, topicId } from '../../../src/model/brands.ts';
import { encodeValue, keys } from '../../../src/model/metadata-schema.ts';
import { type ControllerWorld, replicas, threeBrokers } from './controller-world.ts';

const topic = (over: Partial<NewTopic>): NewTopic => ({
  name: 't',
  partitions: 1,
  replicationFactor: 1,
  assignment: null,
  configs: {},
  isInternal: false,
  ...over,
});

function create(world: ControllerWorld, topics: NewTopic[], validateOnly = false): readonly AdminItemResult[] {
  const answer = world.admin({ kind: 'createTopics', topics, validateOnly });
  assert.equal(answer?.kind, 'done');
  return answer.results;
}

const codes = (results: readonly AdminItemResult[]): (string | null)[] =>
  results.map(({ fault }) => fault?.code ?? null);

test('a topic is created in one transaction, all its ACTIVE replicas in sync (T6)', () => {
  const world = threeBrokers();
  world.committed.length = 0;
  const [result] = create(world, [
    topic({ partitions: 9, replicationFactor: 3, configs: { 'min.insync.replicas': '1' } }),
  ]);
  assert.equal(world.committed.length, 1);
  assert.deepEqual([result?.fault, world.image.topicByName('t')?.record.partitions], [null, 9]);
  const leaders = Array.from({ length: 9 }, (_, partition) => world.partition('t', partition).leader).sort();
  assert.deepEqual(leaders, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
  assert.deepEqual([world.partition('t').isr, world.partition('t').minIsr], [replicas(1, 2, 3), 1]);
  assert.deepEqual(world.image.config('topic', 't'), { 'min.insync.replicas': '1' });
});

test('defaults stand where the command says -1; the minimum in sync comes from the broker', () => {
  const world = threeBrokers({ numPartitions: 4, defaultReplicationFactor: 2 });
  const [result] = create(world, [topic({ partitions: -1, replicationFactor: -1 })]);
  assert.ok(result?.fault === null);
  assert.deepEqual([result.partitions, result.replicationFactor, world.partition('t').minIsr], [4, 2, 2]);
});

test('internal topics get three replicas and a minimum of two, and wait for three brokers', () => {
  const world = threeBrokers({ minInsyncReplicas: 1 });
  create(world, [topic({ name: '__internal', replicationFactor: -1, isInternal: true })]);
  assert.deepEqual([world.partition('__internal').replicas.length, world.partition('__internal').minIsr], [3, 2]);
});

// what is wrong | the topic | code
const refused: [string, Partial<NewTopic>, string][] = [
  ['a name that is taken', { name: 'there.is' }, 'TOPIC_ALREADY_EXISTS'],
  ['a name that collides in metric names', { name: 'there_is' }, 'INVALID_TOPIC'],
  ['a name that is none', { name: 'no spaces' }, 'INVALID_TOPIC'],
  ['no partitions', { partitions: 0 }, 'INVALID_PARTITIONS'],
  ['more replicas than brokers', { replicationFactor: 4 }, 'INVALID_REPLICATION_FACTOR'],
  ['no replicas', { replicationFactor: 0 }, 'INVALID_REPLICATION_FACTOR'],
  ['an unknown key', { configs: { nonsense: '1' } }, 'INVALID_CONFIG'],
  ['a broker twice', { assignment: [replicas(1, 1)] }, 'INVALID_REPLICA_ASSIGNMENT'],
  ['a broker that is not there', { assignment: [replicas(9)] }, 'INVALID_REPLICA_ASSIGNMENT'],
];
for (const [title, over, code] of refused)
  test(`a topic with ${title} is refused with ${code}, and nothing is written`, () => {
    const world = threeBrokers();
    world.createTopic('there.is');
    const before = world.store.revision;
    assert.deepEqual(codes(create(world, [topic(over)])), [code]);
    assert.equal(world.store.revision, before);
  });

test('each topic of a command has its own answer, in the order asked', () => {
  const world = threeBrokers();
  const results = create(world, [
    topic({ name: 'a' }),
    topic({ name: '..' }),
    topic({ name: 'b' }),
    topic({ name: 'b' }),
  ]);
  assert.deepEqual(codes(results), [null, 'INVALID_TOPIC', 'INVALID_REQUEST', 'INVALID_REQUEST']);
  assert.ok(world.image.topicByName('a') && !world.image.topicByName('b'));
});

test('validateOnly answers as if, and writes nothing', () => {
  const world = threeBrokers();
  const before = world.store.revision;
  assert.deepEqual(codes(create(world, [topic({ partitions: 3 })], true)), [null]);
  assert.equal(world.store.revision, before);
});

test('above 100 partitions the topic and its name are written last', () => {
  const world = threeBrokers();
  world.isCommittingAtOnce = false;
  world.admin({ kind: 'createTopics', topics: [topic({ partitions: 250 })], validateOnly: false });
  assert.equal(world.held.length, 3);
  world.commit();
  world.commit();
  world.commit();
  assert.equal(world.image.topicByName('t'), undefined);
  assert.equal(world.adminAnswer(), null);
  world.commitAll();
  assert.equal(world.adminAnswer()?.kind, 'done');
  assert.equal(world.image.topicByName('t')?.partitions.length, 250);
});

test('of a very large topic some transactions are under way at a time', () => {
  const world = threeBrokers();
  world.isCommittingAtOnce = false;
  world.admin({ kind: 'createTopics', topics: [topic({ partitions: 2050 })], validateOnly: false });
  for (let committed = 0; committed < 21; committed++) {
    assert.equal(world.held.length, Math.min(8, 21 - committed));
    world.commit();
  }
  world.commitAll();
  assert.equal(world.adminAnswer()?.kind, 'done');
  assert.equal(world.image.topicByName('t')?.partitions.length, 2050);
});

test('what a controller before this one left of a creation is deleted (§2.9)', () => {
  const world = threeBrokers();
  world.isCommittingAtOnce = false;
  world.admin({ kind: 'createTopics', topics: [topic({ partitions: 150 })], validateOnly: false });
  world.commit();
  world.held.length = 0;
  world.isCommittingAtOnce = true;
  world.elect();
  assert.equal(world.store.read('parts/').entries.length, 0);
});

test('two commands for one name at once: one creates, the other finds it there', () => {
  const world = threeBrokers();
  world.isCommittingAtOnce = false;
  const command = { kind: 'createTopics', topics: [topic({})], validateOnly: false } as const;
  world.message(1, { kind: 'admin', requestId: 101, command });
  world.message(2, { kind: 'admin', requestId: 102, command });
  world.commitAll();
  const found = [101, 102]
    .map((id) => world.adminAnswer(id))
    .map((answer) => (answer?.kind === 'done' ? codes(answer.results) : null));
  assert.deepEqual(found, [[null], ['TOPIC_ALREADY_EXISTS']]);
});

for (const fate of ['loseRequest', 'loseAnswer'] as const)
  test(`a creation whose transaction met ${fate} is answered once, with one topic`, () => {
    const world = threeBrokers();
    world.store.fateOfNextTxn(fate);
    world.admin({ kind: 'createTopics', topics: [topic({})], validateOnly: false });
    world.pass(300);
    const answer = world.adminAnswer();
    assert.ok(answer?.kind === 'done' && answer.results[0]?.fault === null, JSON.stringify(answer));
    assert.equal(answer.results[0].topicId, world.image.topicByName('t')?.id);
    assert.equal(world.store.read('topics/').entries.length, 1);
    assert.equal(world.store.read('parts/').entries.length, 1);
  });

test('a topic whose replicas lost a broker meanwhile is planned again', () => {
  const world = threeBrokers();
  world.isCommittingAtOnce = false;
  world.admin({ kind: 'createTopics', topics: [topic({ replicationFactor: 3 })], validateOnly: false });
  const creation = world.held.shift();
  world.kill(3);
  world.commit();
  assert.ok(creation);
  world.held.push(creation);
  world.commitAll();
  assert.equal(world.adminAnswer()?.kind, 'done');
  assert.deepEqual(world.partition('t').isr, replicas(1, 2));
});

test('a deleted topic loses name, id and configuration at once, its partitions after that (T7)', () => {
  const world = threeBrokers();
  const id = world.createTopic('t', { partitions: 150, configs: { 'retention.ms': '1' } });
  world.isCommittingAtOnce = false;
  world.admin({ kind: 'deleteTopics', topicIds: [id, topicId('A'.repeat(22))] });
  assert.equal(world.held.length, 1);
  world.commit();
  const answer = world.adminAnswer();
  assert.deepEqual(answer?.kind === 'done' && codes(answer.results), [null, 'UNKNOWN_TOPIC_ID']);
  assert.equal(world.image.topicByName('t'), undefined);
  world.commitAll();
  for (const prefix of ['topics/', 'names/', 'parts/', 'configs/'])
    assert.equal(world.store.read(prefix).entries.length, 0);
});

test('a name just deleted can be used again, with another id', () => {
  const world = threeBrokers();
  const id = world.createTopic('t');
  world.isWatching = false;
  world.admin({ kind: 'deleteTopics', topicIds: [id] });
  const again = world.createTopic('t');
  world.watch();
  assert.notEqual(again, id);
  assert.equal(world.image.topicByName('t')?.id, again);
  assert.equal(world.store.read('parts/').entries.length, 1);
});

test('partitions are added where the others ended, more than 100 too', () => {
  const world = threeBrokers();
  world.createTopic('t', { partitions: 4, replicationFactor: 2 });
  const answer = world.admin({
    kind: 'createPartitions',
    topics: [{ name: 't', total: 150, assignment: null }],
    validateOnly: false,
  });
  assert.ok(answer?.kind === 'done' && answer.results[0]?.fault === null);
  assert.deepEqual([answer.results[0].partitions, answer.results[0].replicationFactor], [150, 2]);
  const leaders = Array.from({ length: 150 }, (_, partition) => world.partition('t', partition).leader);
  for (const id of replicas(1, 2, 3)) assert.equal(leaders.filter((leader) => leader === id).length, 50);
});

// total | assignment | code
const growths: [string, string, number, number[][] | null, string | null][] = [
  ['one more', 't', 3, null, null],
  ['one more where the user says', 't', 3, [[3, 1]], null],
  ['as many', 't', 2, null, 'INVALID_PARTITIONS'],
  ['fewer', 't', 1, null, 'INVALID_PARTITIONS'],
  ['an unknown topic', 'u', 3, null, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['too few assignments', 't', 4, [[1, 2]], 'INVALID_REPLICA_ASSIGNMENT'],
  ['another replication factor', 't', 3, [[1, 2, 3]], 'INVALID_REPLICA_ASSIGNMENT'],
];
for (const [title, name, total, assignment, code] of growths)
  test(`createPartitions: ${title} is ${code ?? 'done'}`, () => {
    const world = threeBrokers();
    world.createTopic('t', { partitions: 2, replicationFactor: 2 });
    const asked = { name, total, assignment: assignment?.map((ids) => replicas(...ids)) ?? null };
    for (const validateOnly of [true, false]) {
      const answer = world.admin({ kind: 'createPartitions', topics: [asked], validateOnly });
      assert.deepEqual(answer?.kind === 'done' && codes(answer.results), [code]);
    }
    assert.equal(world.image.topicByName('t')?.record.partitions, code === null ? total : 2);
  });

test('partition keys past the count, left by a growth that was cut off, are deleted', () => {
  const world = threeBrokers();
  const id = world.createTopic('t');
  world.write({ kind: 'put', key: keys.partition(id, 1), value: encodeValue(world.partition('t')) });
  world.elect();
  assert.equal(world.store.read('parts/').entries.length, 1);
});

test('preferred elections: moved, not needed, not possible, unknown', () => {
  const world = threeBrokers();
  const id = world.createTopic('a', { assignment: [replicas(2, 3), replicas(1, 2), replicas(3, 2)], partitions: -1 });
  world.kill(2);
  world.register(2, { incarnation: 'again', stopKind: 'killed' });
  world.heartbeat(2);
  const at = (partition: number, of: TopicId = id) => ({ topicId: of, partition });
  const partitions = [at(1), at(0), at(7), at(0, topicId('A'.repeat(22)))];
  const answer = world.admin({ kind: 'electLeaders', election: 'preferred', partitions });
  const unknown = 'UNKNOWN_TOPIC_OR_PARTITION';
  assert.deepEqual(answer?.kind === 'done' && codes(answer.results), [
    'ELECTION_NOT_NEEDED',
    'ELIGIBLE_LEADERS_NOT_AVAILABLE',
    unknown,
    unknown,
  ]);
});

test('an operator may order an unclean election; where nobody is there it is not possible', () => {
  const world = threeBrokers();
  const id = world.createTopic('a', { assignment: [replicas(2, 3)], partitions: -1 });
  const order = { kind: 'electLeaders', election: 'unclean', partitions: [{ topicId: id, partition: 0 }] } as const;
  assert.deepEqual(answerOf(world.admin(order)), ['ELECTION_NOT_NEEDED']);
  world.kill(3);
  world.kill(2);
  assert.deepEqual(answerOf(world.admin(order)), ['ELIGIBLE_LEADERS_NOT_AVAILABLE']);
  for (const [partition, record] of world.image.topicByName('a')?.partitions.entries() ?? []) {
    const lost = { ...record?.record, elr: [], lastKnownElr: replicas(2, 3) };
    world.write({ kind: 'put', key: keys.partition(id, partition), value: encodeValue(lost) });
  }
  world.register(3, { incarnation: 'again', stopKind: 'killed' });
  world.heartbeat(3);
  assert.equal(world.admin(order), null);
  for (const { requestId } of world.take('askReplicaStates'))
    world.message(3, { kind: 'replicaStates', requestId, states: [null] });
  assert.deepEqual(answerOf(world.adminAnswer()), [null]);
  assert.deepEqual(
    [world.partition('a').leader, world.partition('a').uncleanEpoch],
    [brokerId(3), world.partition('a').leaderEpoch],
  );
});

function answerOf(answer: ReturnType<ControllerWorld['admin']>): (string | null)[] | null {
  return answer?.kind === 'done' ? codes(answer.results) : null;
}
