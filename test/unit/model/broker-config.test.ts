import { describe, expect, test } from 'vitest';
import { effectiveTopicConfig, loadBrokerConfig, parseProperties } from '../../../src/model/config/broker-config.ts';
import { formatConfigValue } from '../../../src/model/config/config-key.ts';
import { topicConfigProblem } from '../../../src/model/config/topic-config.ts';

const fromFile = (text: string) => loadBrokerConfig({ file: { name: 'server.properties', text } });

describe('a broker configuration', () => {
  test('takes flags over variables over the file', () => {
    const config = loadBrokerConfig({
      file: { name: 'f', text: 'num.partitions=2\nnode.id=7\ndefault.replication.factor=2' },
      environment: { KAFKA_NUM_PARTITIONS: '3', CORDWOOD_NODE_ID: '8', PATH: '/bin' },
      flags: { 'num.partitions': '4' },
    });
    expect(config.values['num.partitions']).toBe(4);
    expect(config.values['node.id']).toBe(8);
    expect(config.values['default.replication.factor']).toBe(2);
  });

  test('maps a variable without the cordwood. prefix to the key that has it', () => {
    const config = loadBrokerConfig({ environment: { CORDWOOD_ETCD_ENDPOINTS: 'http://a:1,http://b:2' } });
    expect(config.values['cordwood.etcd.endpoints']).toEqual(['http://a:1', 'http://b:2']);
  });

  test('leaves variables of other programs alone', () => {
    expect(loadBrokerConfig({ environment: { KAFKA_SOMETHING_ELSE: 'x' } }).set.size).toBe(0);
  });

  test('reads broker.id and log.dir as the keys they became', () => {
    const config = fromFile('broker.id=3\nlog.dir=/data');
    expect(config.values['node.id']).toBe(3);
    expect(config.values['log.dirs']).toEqual(['/data']);
  });

  test('accepts what only a KRaft Kafka needs, with one warning', () => {
    const config = fromFile(
      'process.roles=broker,controller\ncontroller.quorum.voters=1@a:9093\nnum.network.threads=3',
    );
    expect(config.warnings).toEqual([
      'these keys have no effect here: controller.quorum.voters, num.network.threads, process.roles',
    ]);
  });

  const bad = [
    ['num.partitions=x', 'num.partitions=x: is not a whole number (server.properties)'],
    ['num.partitions=0', 'num.partitions=0: must be at least 1 (server.properties)'],
    ['num.partitions=2147483648', 'num.partitions=2147483648: does not fit 32 bits (server.properties)'],
    ['num.partition=3', 'num.partition=3: unknown key in server.properties; did you mean num.partitions?'],
    ['log.cleanup.policy=remove', 'log.cleanup.policy=remove: must be one of delete, compact (server.properties)'],
    ['auto.create.topics.enable=yes', 'auto.create.topics.enable=yes: must be true or false (server.properties)'],
    ['=5', 'server.properties:1: not a key=value line: =5'],
  ] as const;
  for (const [line, message] of bad)
    test(`is refused for ${line}`, () => {
      expect(() => fromFile(line)).toThrow(message);
    });

  test('joins continued lines and skips comments, as Java properties do', () => {
    expect([...parseProperties('f', '# no\n! no\na = 1\nb:2\nlist=x,\\\n   y\nc')]).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['list', 'x,y'],
      ['c', ''],
    ]);
  });
});

describe('the effective value of a topic key', () => {
  test('is the default, with the default source, while nobody set it', () => {
    const { value, source, synonyms } = effectiveTopicConfig('retention.ms', {}, fromFile(''));
    expect([value, source, synonyms]).toEqual([604_800_000, 5, []]);
  });

  test('comes from the broker key in hours where only that was set', () => {
    const { value, source } = effectiveTopicConfig('retention.ms', {}, fromFile('log.retention.hours=2'));
    expect([value, source]).toEqual([7_200_000, 4]);
  });

  test('comes from the topic first', () => {
    const { value, source, synonyms } = effectiveTopicConfig(
      'cleanup.policy',
      { 'cleanup.policy': 'compact' },
      fromFile('log.cleanup.policy=delete,compact'),
    );
    expect([value, source]).toEqual([['compact'], 1]);
    expect(synonyms.map(({ name, source: from }) => [name, from])).toEqual([
      ['cleanup.policy', 1],
      ['log.cleanup.policy', 4],
      ['log.cleanup.policy', 5],
    ]);
  });

  test('of no limit is written as the largest 64-bit number', () => {
    expect(formatConfigValue(effectiveTopicConfig('flush.messages', {}, fromFile('')).value)).toBe(
      '9223372036854775807',
    );
  });
});

test('a topic’s configuration is refused for an unknown key, a bad value and null', () => {
  expect(topicConfigProblem({ 'retention.ms': '5' })).toBeNull();
  expect(topicConfigProblem({ 'retention.msec': '5' })).toBe('Unknown topic config name: retention.msec');
  expect(topicConfigProblem({ 'retention.ms': 'x' })).toBe('retention.ms=x: is not a whole number');
  expect(topicConfigProblem({ 'retention.ms': null })).toMatch(/Null value/);
});
