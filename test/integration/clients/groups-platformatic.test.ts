/** Consumer groups of @platformatic/kafka against a development cluster, by both of Kafka's protocols. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { TestCluster } from '../../support/dev.ts';
import { GroupAdmin } from '../../support/group-admin.ts';
import { testGroupsOf } from '../../support/group-suite.ts';
import { type MemberKind, MemberProcess } from '../../support/member-process.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { RawProducer } from '../../support/raw-producer.ts';
import { until } from '../../support/until.ts';

testGroupsOf('platformatic');
testGroupsOf('platformatic-848');

describe('a member that was idle when its coordinator died', () => {
  const waitMs = 60_000;
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterAll(() => cluster.remove());

  async function write(topic: string): Promise<void> {
    const producer = new RawProducer(cluster.bootstrap, topic, () => {});
    await producer.start(3);
    for (const partition of [0, 1, 2]) producer.send(partition, 'value');
    await producer.stop();
  }

  // Its heartbeats are seconds apart: by the first one after the death, metadata names the dead broker no more.
  for (const kind of ['platformatic', 'platformatic-848'] satisfies MemberKind[])
    test(`goes on in its group while the dead one stays dead: ${kind}`, async () => {
      const raw = new RawCluster(cluster.bootstrap);
      await raw.createTopic(kind, { partitions: 3, replicationFactor: 3 });
      const { bootstrap } = cluster;
      const member = MemberProcess.start({
        ...{ kind, bootstrap, group: kind, topics: [kind], name: 'only', sessionTimeoutMs: 30_000 },
      });
      const admin = new GroupAdmin(() => cluster.dev.brokers().map(({ id }) => cluster.addressOf(id)));
      try {
        const hasCommitted = (offset: number): Promise<boolean> => {
          const isCommitted = async (): Promise<boolean> => {
            const committed = await admin.committed(kind);
            return [0, 1, 2].every((partition) => committed.get(`${kind}:${partition}`) === offset);
          };
          return until(`it has committed offset ${offset} of each partition`, isCommitted, waitMs);
        };
        await write(kind);
        await hasCommitted(1);
        const { id } = await admin.coordinatorOf(kind);
        await cluster.dev.killBroker(id);
        await until('it has noticed', () => member.complaints !== '', waitMs);
        await write(kind);
        await hasCommitted(2);
        await cluster.dev.startBroker(id);
      } catch (error) {
        throw new Error(`${error}; it said ${member.complaints}`, { cause: error });
      } finally {
        await member.crash();
        admin.close();
        raw.close();
      }
    });
});
