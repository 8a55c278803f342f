/** A member by @platformatic/kafka, of either protocol; see report.ts. One commit under way per partition. */
import { setMaxListeners } from 'node:events';
import { Consumer, type ConsumerOptions, GroupProtocols } from '@platformatic/kafka';
import { tellAssigned, tellCommit, tellRead, untilAskedToLeave, wanted } from './report.ts';

const { brokers, group, topics, name, sessionTimeoutMs, protocol } = wanted;
const options = {
  clientId: name,
  groupId: group,
  bootstrapBrokers: brokers,
  autocommit: false,
  maxWaitTime: 100,
  // Each failover takes one delay at least; by default it is a second, and three are made.
  retries: 10,
  retryDelay: 250,
  rebalanceTimeout: 60_000,
};
const consumerOptions: ConsumerOptions<Buffer, Buffer, Buffer, Buffer> =
  protocol === 'consumer'
    ? { ...options, groupProtocol: GroupProtocols.CONSUMER }
    : { ...options, sessionTimeout: sessionTimeoutMs, heartbeatInterval: Math.floor(sessionTimeoutMs / 10) };

const commitLimitMs = 3000;

/** A commit that waits for the group to be joined again is never answered where its stream ends meanwhile. */
async function answered(commit: void | Promise<void>, streamEnd: AbortSignal): Promise<void> {
  const given = Promise.withResolvers<void>();
  const giveUp = (): void => given.reject(new Error('no answer'));
  const timer = setTimeout(giveUp, commitLimitMs);
  streamEnd.addEventListener('abort', giveUp);
  if (streamEnd.aborted) giveUp();
  Promise.resolve(commit).then(given.resolve, given.reject);
  await given.promise.finally(() => {
    clearTimeout(timer);
    streamEnd.removeEventListener('abort', giveUp);
  });
}

const complain = (error: unknown): void => void process.stderr.write(`${error}\n`);

type Member = Consumer<Buffer, Buffer, Buffer, Buffer>;

let isLeaving = false;

/** Reads and commits; rejects when it cannot join its group. */
async function readOn(consumer: Member): Promise<void> {
  const generation = (): number | null => (protocol === 'consumer' ? null : consumer.generationId);
  consumer.on('consumer:group:join', ({ assignments }) => {
    const places = (assignments ?? consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    );
    tellAssigned(generation(), places);
  });
  const busy = new Set<string>();
  while (!isLeaving) {
    const stream = await consumer.consume({ topics, mode: 'committed', fallbackMode: 'earliest' });
    const streamEnd = new AbortController();
    setMaxListeners(0, streamEnd.signal);
    stream.once('close', () => streamEnd.abort());
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
    try {
      for await (const message of stream) {
        const { topic, partition, offset } = message;
        tellRead({ topic, partition }, offset, String(message.value));
        const key = `${topic}:${partition}`;
        newest.set(key, () =>
          tellCommit({ topic, partition }, offset + 1n, generation, () =>
            answered(message.commit(), streamEnd.signal),
          ).catch(complain),
        );
        commitNewest(key);
      }
    } catch (error) {
      // A broker has died: the consumer is good for another stream.
      complain(error);
    }
  }
}

/** Rejects when the consumer has lost touch with its group: its stream may go on, its commits wait for ever. */
function untilLost(consumer: Member): Promise<never> {
  return new Promise((_, reject) => {
    consumer.on('error', reject);
    consumer.on('consumer:heartbeat:error', ({ error }) => reject(error));
  });
}

let leave = async (): Promise<void> => undefined;

/**
 * One consumer after the other, each under the id of the one before: to the group they are one member. One of them is not
 * good for ever (2.12.1): it looks for a new coordinator only while metadata still names the dead one (`#handleError`), and
 * when it could not join it is consumed from without being a member (`#performConsume`).
 */
async function readAlways(): Promise<void> {
  let memberId: string | null = null;
  while (!isLeaving) {
    const consumer: Member = new Consumer(consumerOptions);
    consumer.memberId = memberId;
    leave = () => consumer.close(true);
    await Promise.race([readOn(consumer), untilLost(consumer)]).catch(complain);
    memberId = consumer.memberId;
    if (!isLeaving) await consumer.close(true).catch(complain);
  }
}

const reading = readAlways();
await untilAskedToLeave();
isLeaving = true;
await leave();
await reading;
process.exit();
