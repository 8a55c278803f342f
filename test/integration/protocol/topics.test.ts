/** What clients rely on when they create, describe, grow and delete topics and ask for configurations. */
import assert from 'node:assert/strict';
import { afterAll, describe, expect, test } from 'vitest';
import { metadataApi } from '../../../src/wire/messages/03-metadata.ts';
import { createTopicsApi } from '../../../src/wire/messages/19-create-topics.ts';
import { deleteTopicsApi } from '../../../src/wire/messages/20-delete-topics.ts';
import { describeConfigsApi } from '../../../src/wire/messages/32-describe-configs.ts';
import { createPartitionsApi } from '../../../src/wire/messages/37-create-partitions.ts';
import { describeClusterApi } from '../../../src/wire/messages/60-describe-cluster.ts';
import { describeTopicPartitionsApi } from '../../../src/wire/messages/75-describe-topic-partitions.ts';
import { TestCluster } from '../../support/dev.ts';
import { until } from '../../support/until.ts';
import { WireClient } from '../../support/wire-client.ts';

const cluster = await TestCluster.start({
  config: { 'num.partitions': '3', 'group.consumer.heartbeat.interval.ms': '3000' },
});
/** One broker after the other: any of them takes any request for administration. */
const clients = await Promise.all([1, 2, 3].map((id) => WireClient.open(cluster.addressOf(id))));
let turn = 0;
const anyone = (): WireClient => {
  const client = clients[turn++ % clients.length];
  assert.ok(client);
  return client;
};
afterAll(async () => {
  for (const client of clients) client.close();
  await cluster.remove();
});

async function create(
  name: string,
  more: { numPartitions?: number; replicationFactor?: number; configs?: object[]; assignments?: object[] } = {},
  validateOnly = false,
) {
  const answer = await anyone().ask(createTopicsApi, 7, {
    topics: [{ name, numPartitions: 1, replicationFactor: 3, ...more } as never],
    timeoutMs: 10_000,
    validateOnly,
  });
  const [topic] = answer.topics;
  assert.ok(topic);
  // Whoever is asked next may hear of it a moment after the broker that answered.
  if (topic.errorCode === 0 && !validateOnly)
    await until(`${name} is known everywhere`, async () => {
      const found = await Promise.all(clients.map((client) => describeTopic(name, client)));
      return found.every(({ topicId }) => topicId === topic.topicId);
    });
  return topic;
}

async function describeTopic(name: string, client = anyone(), version = 12) {
  const answer = await client.ask(metadataApi, version, { topics: [{ name }], allowAutoTopicCreation: false });
  const [topic] = answer.topics;
  assert.ok(topic);
  return topic;
}

describe('metadata', () => {
  test('null asks for all topics, an empty list for none, and version 0 takes the empty list as all', async () => {
    await create('listed');
    const names = async (version: number, topics: null | []): Promise<number> =>
      (await anyone().ask(metadataApi, version, { topics })).topics.length;
    assert.ok((await names(1, null)) >= 1);
    assert.equal(await names(1, []), 0);
    assert.ok((await names(0, [])) >= 1);
  });

  test('names three brokers as they are reached, a controller among them, and no rack', async () => {
    for (const client of clients) {
      const { brokers, controllerId, clusterId } = await client.ask(metadataApi, 12, { topics: [] });
      expect(brokers).toEqual([1, 2, 3].map((nodeId) => ({ nodeId, ...cluster.addressOf(nodeId), rack: null })));
      assert.ok([1, 2, 3].includes(controllerId));
      assert.match(clusterId ?? '', /^[\w-]{22}$/);
    }
  });

  test('an unknown topic is 3, an invalid name 17, an unknown id 100', async () => {
    assert.equal((await describeTopic('unknown')).errorCode, 3);
    assert.equal((await describeTopic('no spaces')).errorCode, 17);
    const byId = await anyone().ask(metadataApi, 12, { topics: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAFA', name: null }] });
    assert.equal(byId.topics[0]?.errorCode, 100);
  });

  test('creates what it is asked for, says 3 this once, and then has it with the defaults', async () => {
    const ask = () =>
      anyone().ask(metadataApi, 12, { topics: [{ name: 'made-by-asking' }], allowAutoTopicCreation: true });
    assert.equal((await ask()).topics[0]?.errorCode, 3);
    const topic = await until('the topic is there', async () => {
      const found = await describeTopic('made-by-asking');
      return found.errorCode === 0 && found.partitions.every((one) => one.leaderId > 0) ? found : null;
    });
    assert.equal(topic.partitions.length, 3);
    for (const { replicaNodes } of topic.partitions) assert.equal(replicaNodes.length, 3);
  });

  test('nine partitions on three brokers are led three each, from the start', async () => {
    await create('spread', { numPartitions: 9 });
    const { partitions } = await describeTopic('spread');
    const led = new Map<number, number>();
    for (const { leaderId } of partitions) led.set(leaderId, (led.get(leaderId) ?? 0) + 1);
    assert.deepEqual([...led].sort(), [
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });

  test('DescribeCluster names the same brokers', async () => {
    const answer = await anyone().ask(describeClusterApi, 2, { endpointType: 1 });
    assert.equal(answer.errorCode, 0);
    assert.deepEqual(
      answer.brokers.map(({ brokerId, port }) => [brokerId, port]),
      [1, 2, 3].map((id) => [id, cluster.addressOf(id).port]),
    );
    assert.equal((await anyone().ask(describeClusterApi, 2, { endpointType: 2 })).errorCode, 114);
    assert.equal((await anyone().ask(describeClusterApi, 2, { endpointType: 9 })).errorCode, 115);
  });

  test('DescribeTopicPartitions goes through all topics in pages', async () => {
    const seen: string[] = [];
    for (let cursor: { topicName: string; partitionIndex: number } | null = null; ; ) {
      const answer: Awaited<ReturnType<typeof page>> = await page(cursor);
      for (const { name, partitions } of answer.topics)
        for (const { partitionIndex } of partitions) seen.push(`${name}-${partitionIndex}`);
      cursor = answer.nextCursor;
      if (cursor === null) break;
    }
    assert.equal(new Set(seen).size, seen.length, 'nothing twice');
    for (let partition = 0; partition < 9; partition++) assert.ok(seen.includes(`spread-${partition}`));
    assert.deepEqual(seen, [...seen].sort());

    function page(cursor: { topicName: string; partitionIndex: number } | null) {
      return anyone().ask(describeTopicPartitionsApi, 0, { topics: [], responsePartitionLimit: 4, cursor });
    }
  });
});

describe('creating', () => {
  test('-1 and -1 take the defaults; version 5 and later tell counts and configurations', async () => {
    const topic = await create('defaults', { numPartitions: -1, replicationFactor: -1 });
    assert.deepEqual([topic.errorCode, topic.errorMessage], [0, null]);
    assert.deepEqual([topic.numPartitions, topic.replicationFactor], [3, 3]);
    assert.notEqual(topic.topicId, 'AAAAAAAAAAAAAAAAAAAAAA');
    const value = (name: string) => topic.configs?.find((config) => config.name === name)?.value;
    assert.equal(value('retention.ms'), '604800000');
    assert.equal((await describeTopic('defaults')).topicId, topic.topicId);
  });

  test('what is only validated is not created', async () => {
    const topic = await create('validated', {}, true);
    assert.equal(topic.errorCode, 0);
    assert.equal((await describeTopic('validated')).errorCode, 3);
    assert.equal((await create('defaults', {}, true)).errorCode, 36);
  });

  test('refusals carry their code and a reason', async () => {
    const refused = async (code: number, ...args: Parameters<typeof create>): Promise<void> => {
      const topic = await create(...args);
      assert.equal(topic.errorCode, code, `${args[0]}: ${topic.errorMessage}`);
      assert.equal((await describeTopic(args[0])).errorCode === 0, args[0] === 'defaults');
    };
    await refused(36, 'defaults');
    await refused(38, 'wide', { replicationFactor: 4 });
    await refused(38, 'none', { replicationFactor: 0 });
    await refused(37, 'empty', { numPartitions: 0 });
    await refused(40, 'odd', { configs: [{ name: 'no.such.key', value: '1' }] });
    await refused(40, 'bad', { configs: [{ name: 'retention.ms', value: 'soon' }] });
    await refused(40, 'old', { configs: [{ name: 'message.format.version', value: '2.0' }] });
    await refused(17, 'a/b');
    await refused(17, '..');
    await refused(17, 'x'.repeat(250));
    const assigned = { numPartitions: -1, replicationFactor: -1 };
    await refused(39, 'ghost', { ...assigned, assignments: [{ partitionIndex: 0, brokerIds: [1, 9] }] });
    await refused(39, 'double', { ...assigned, assignments: [{ partitionIndex: 0, brokerIds: [1, 1] }] });
    await refused(39, 'gap', { ...assigned, assignments: [{ partitionIndex: 1, brokerIds: [1] }] });
    await refused(42, 'both', { assignments: [{ partitionIndex: 0, brokerIds: [1] }] });
  });

  test('a.b and a_b collide', async () => {
    assert.equal((await create('dotted.name')).errorCode, 0);
    assert.equal((await create('dotted_name')).errorCode, 17);
  });

  test('replicas stand where they were assigned', async () => {
    const assignments = [
      { partitionIndex: 0, brokerIds: [3, 1] },
      { partitionIndex: 1, brokerIds: [2, 3] },
    ];
    assert.equal((await create('assigned', { numPartitions: -1, replicationFactor: -1, assignments })).errorCode, 0);
    const { partitions } = await describeTopic('assigned');
    assert.deepEqual(
      partitions.map(({ leaderId, replicaNodes }) => [leaderId, ...replicaNodes]),
      [
        [3, 3, 1],
        [2, 2, 3],
      ],
    );
  });

  test('a topic named twice in one request is refused, another one in it created', async () => {
    const topic = (name: string) => ({ name, numPartitions: 1, replicationFactor: 1 });
    const { topics } = await anyone().ask(createTopicsApi, 7, {
      topics: [topic('twin'), topic('twin'), topic('single')],
      timeoutMs: 10_000,
    });
    const codes = Object.fromEntries(topics.map(({ name, errorCode }) => [name, errorCode]));
    assert.deepEqual(codes, { twin: 42, single: 0 });
  });
});

describe('growing', () => {
  const grow = async (name: string, count: number, brokerIds: number[][] | null = null) => {
    const assignments = brokerIds?.map((ids) => ({ brokerIds: ids })) ?? null;
    const { results } = await anyone().ask(createPartitionsApi, 3, {
      topics: [{ name, count, assignments }],
      timeoutMs: 10_000,
    });
    return results[0]?.errorCode;
  };

  test('adds partitions, and refuses fewer, equal, unknown and badly assigned ones', async () => {
    await create('growing', { numPartitions: 2 });
    assert.equal(await grow('growing', 4), 0);
    await until('four partitions everywhere', async () => {
      const all = await Promise.all(clients.map((client) => describeTopic('growing', client)));
      return all.every(({ partitions }) => partitions.length === 4 && partitions.every((one) => one.leaderId > 0));
    });
    assert.equal(await grow('growing', 4), 37);
    assert.equal(await grow('growing', 3), 37);
    assert.equal(await grow('nobody', 3), 3);
    assert.equal(await grow('growing', 5, [[1, 9, 2]]), 39);
    assert.equal(await grow('growing', 6, [[1, 2, 3]]), 39);
    assert.equal(await grow('growing', 5, [[3, 2, 1]]), 0);
  });
});

describe('deleting', () => {
  test('by name and by id; the name can be used again at once, with a new id', async () => {
    const { topicId } = await create('fleeting');
    const byName = await anyone().ask(deleteTopicsApi, 6, { topics: [{ name: 'fleeting' }], timeoutMs: 10_000 });
    assert.deepEqual(
      byName.responses.map(({ name, errorCode }) => [name, errorCode]),
      [['fleeting', 0]],
    );
    const again = await create('fleeting');
    assert.equal(again.errorCode, 0);
    assert.notEqual(again.topicId, topicId);
    const byId = (id: string) =>
      anyone().ask(deleteTopicsApi, 6, { topics: [{ name: null, topicId: id }], timeoutMs: 10_000 });
    assert.equal((await byId(topicId)).responses[0]?.errorCode, 100);
    assert.equal((await byId(again.topicId)).responses[0]?.errorCode, 0);
    await until('gone everywhere', async () => {
      const all = await Promise.all(clients.map((client) => describeTopic('fleeting', client)));
      return all.every(({ errorCode }) => errorCode === 3);
    });
  });

  test('an unknown topic is 3, one named by both id and name is refused', async () => {
    const ask = async (name: string | null, topicId?: string) =>
      (await anyone().ask(deleteTopicsApi, 6, { topics: [{ name, topicId }], timeoutMs: 10_000 })).responses[0]
        ?.errorCode;
    assert.equal(await ask('nobody'), 3);
    assert.equal(await ask('defaults', 'AAAAAAAAAAAAAAAAAAAAFA'), 42);
  });
});

describe('configurations', () => {
  const topicResource = 2;
  const brokerResource = 4;
  const groupResource = 32;
  const ask = async (
    resourceType: number,
    resourceName: string,
    configurationKeys: string[] | null,
    client = anyone(),
    more = {},
  ) => {
    const { results } = await client.ask(describeConfigsApi, 4, {
      resources: [{ resourceType, resourceName, configurationKeys }],
      ...more,
    });
    const [result] = results;
    assert.ok(result);
    return result;
  };

  test('of a topic: defaults with source 5, what was set with 1, what the file says with 4', async () => {
    await create('configured', {
      configs: [
        { name: 'retention.ms', value: '1000' },
        { name: 'cleanup.policy', value: 'compact,delete' },
      ],
    });
    const { errorCode, errorMessage, configs } = await ask(topicResource, 'configured', null);
    assert.deepEqual([errorCode, errorMessage], [0, '']);
    const of = (name: string) => {
      const found = configs.find((config) => config.name === name);
      return [found?.value, found?.configSource];
    };
    assert.deepEqual(of('retention.ms'), ['1000', 1]);
    assert.deepEqual(of('cleanup.policy'), ['compact,delete', 1]);
    assert.deepEqual(of('max.message.bytes'), ['1048588', 5]);
    assert.deepEqual(of('compression.type'), ['producer', 5]);
    assert.deepEqual(of('local.retention.ms'), ['-2', 5]);
    assert.deepEqual(of('file.delete.delay.ms'), ['60000', 5]);
    assert.deepEqual(of('min.insync.replicas'), ['2', 4]);
  });

  test('only the asked keys, documentation only when asked for, synonyms by the names of the broker', async () => {
    const some = await ask(topicResource, 'configured', ['cleanup.policy', 'no.such.key']);
    assert.deepEqual(
      some.configs.map(({ name, documentation, synonyms, configType }) => [
        name,
        documentation,
        synonyms.length,
        configType,
      ]),
      [['cleanup.policy', null, 0, 7]],
    );
    const full = await ask(
      topicResource,
      'configured',
      ['cleanup.policy', 'retention.ms', 'max.message.bytes'],
      anyone(),
      {
        includeSynonyms: true,
        includeDocumentation: true,
      },
    );
    const synonyms = Object.fromEntries(
      full.configs.map((config) => [config.name, config.synonyms.map(({ name, source }) => `${name} ${source}`)]),
    );
    assert.deepEqual(synonyms['cleanup.policy'], ['cleanup.policy 1', 'log.cleanup.policy 5']);
    assert.deepEqual(synonyms['max.message.bytes'], ['message.max.bytes 5']);
    assert.ok(full.configs.every(({ documentation }) => (documentation?.length ?? 0) > 0));
  });

  test('of a broker: by that broker alone', async () => {
    const [first, second] = clients;
    assert.ok(first && second);
    const own = await ask(brokerResource, '1', ['num.partitions', 'node.id', 'message.max.bytes'], first);
    assert.equal(own.errorCode, 0);
    assert.deepEqual(own.configs.map(({ name, value, configSource }) => [name, value, configSource]).sort(), [
      ['message.max.bytes', '1048588', 5],
      ['node.id', '1', 4],
      ['num.partitions', '3', 4],
    ]);
    assert.equal((await ask(brokerResource, '1', null, second)).errorCode, 42);
  });

  test('of a group: what the brokers say for all of the new protocol, by the names of a group', async () => {
    const more = { includeSynonyms: true };
    const { errorCode, configs } = await ask(groupResource, 'not there yet', null, anyone(), more);
    assert.equal(errorCode, 0);
    const told = configs.map(({ name, value, configSource, readOnly, synonyms }) => [
      name,
      value,
      configSource,
      readOnly,
      ...synonyms.map((one) => one.name),
    ]);
    assert.deepEqual(told.sort(), [
      ['consumer.heartbeat.interval.ms', '3000', 4, false, ...Array(2).fill('group.consumer.heartbeat.interval.ms')],
      ['consumer.session.timeout.ms', '45000', 5, false, 'group.consumer.session.timeout.ms'],
    ]);
    const some = await ask(groupResource, 'not there yet', ['consumer.session.timeout.ms']);
    assert.deepEqual(
      some.configs.map(({ name }) => name),
      ['consumer.session.timeout.ms'],
    );
    assert.equal((await ask(groupResource, '', null)).errorCode, 42);
  });

  test('of nobody: an unknown topic is 3, a bad name 17, an unknown kind 42', async () => {
    assert.equal((await ask(topicResource, 'nobody', null)).errorCode, 3);
    assert.equal((await ask(topicResource, 'no spaces', null)).errorCode, 17);
    assert.equal((await ask(99, 'x', null)).errorCode, 42);
  });
});
