/**
 * At most once: a record is committed before it is dealt with. A crash in between loses it, and none is repeated.
 * With KafkaJS:
 *
 *     node test/examples/at-most-once-kafkajs.ts localhost:9092 my-group my-topic
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { crashPoint } from './crash-point.ts';

const [bootstrap = 'localhost:9092', groupId = 'my-group', topic = 'my-topic'] = process.argv.slice(2);
const retry = { initialRetryTime: 100, maxRetryTime: 500, retries: 15 };
const kafka = new Kafka({ clientId: 'example', brokers: bootstrap.split(','), retry, logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, retry });

/** KafkaJS goes on asking a coordinator that is dead; told of a rebalance, it looks for the living one and joins again. */
function rejoin(error: Error): never {
  throw Object.assign(error, { type: 'REBALANCE_IN_PROGRESS' });
}

async function start(): Promise<void> {
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, heartbeat, isRunning, isStale }) => {
      for (const message of batch.messages) {
        if (!isRunning() || isStale()) return;
        const value = String(message.value);
        const commit = async (): Promise<void> => {
          const offset = String(BigInt(message.offset) + 1n);
          const { topic, partition } = batch;
          await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] }).catch(rejoin);
          resolveOffset(message.offset);
        };
        await commit();
        crashPoint(value);
        console.log(`processed ${value}`);
        await heartbeat().catch(rejoin);
      }
    },
  });
}

// While all brokers are down KafkaJS ends for good.
consumer.on(consumer.events.CRASH, async ({ payload }) => {
  for (let isOver = !payload.restart; isOver; ) {
    await sleep(retry.maxRetryTime);
    isOver = await start().then(
      () => false,
      () => true,
    );
  }
});
await start();
