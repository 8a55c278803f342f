/** A member by @platformatic/kafka, of either protocol; see report.ts. One commit under way per partition. */
import { Consumer, type ConsumerOptions, GroupProtocols } from '@platformatic/kafka';
import { tellAssigned, tellCommit, tellRead, untilAskedToLeave, wanted } from './report.ts';

const { brokers, group, topics, name, sessionTimeoutMs, protocol } = wanted;
const commitLimitMs = 3000;
const options = { clientId: name, groupId: group, bootstrapBrokers: brokers, autocommit: false, maxWaitTime: 100 };
const classic: ConsumerOptions<Buffer, Buffer, Buffer, Buffer> = {
  ...options,
  sessionTimeout: sessionTimeoutMs,
  rebalanceTimeout: 60_000,
  heartbeatInterval: Math.floor(sessionTimeoutMs / 10),
};
const consumer = new Consumer(
  protocol === 'consumer' ? { ...options, groupProtocol: GroupProtocols.CONSUMER, rebalanceTimeout: 60_000 } : classic,
);
const generation = (): number | null => (protocol === 'consumer' ? null : consumer.generationId);
consumer.on('consumer:group:join', ({ assignments }) => {
  const places = (assignments ?? consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition })),
  );
  tellAssigned(generation(), places);
});

async function open() {
  return await consumer.consume({ topics, mode: 'committed', fallbackMode: 'earliest' });
}

/** The library forgets now and then who waits for a commit while the group is being joined again. */
async function withinLimit(commit: void | Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), commitLimitMs);
  });
  await Promise.race([commit, limit]).finally(() => clearTimeout(timer));
}

let isLeaving = false;
const busy = new Set<string>();

async function readOn(): Promise<void> {
  const stream = await open();
  const newest = new Map<string, () => Promise<void>>();
  const commitNewest = async (key: string): Promise<void> => {
    if (busy.has(key)) return;
    busy.add(key);
    for (let next = newest.get(key); next !== undefined; next = newest.get(key)) {
      newest.delete(key);
      await next();
    }
    busy.delete(key);
  };
  for await (const message of stream) {
    const { topic, partition, offset } = message;
    tellRead({ topic, partition }, offset, String(message.value));
    const key = `${topic}:${partition}`;
    newest.set(key, async () => {
      await tellCommit({ topic, partition }, offset + 1n, generation, () => withinLimit(message.commit())).catch(
        (error) => process.stderr.write(`${error}\n`),
      );
    });
    commitNewest(key);
  }
}

const reading = (async () => {
  // A stream ends with the error of its group; the consumer is good for another one.
  while (!isLeaving) await readOn().catch((error) => process.stderr.write(`${error}\n`));
})();
await untilAskedToLeave();
isLeaving = true;
await consumer.close(true);
await reading;
process.exit();
