/**
 * At most once: a record is committed before it is dealt with. A crash in between loses it, and none is repeated.
 * With KafkaJS:
 *
 *     node test/examples/at-most-once-kafkajs.ts localhost:9092 my-group my-topic
 */
import { Kafka, logLevel } from 'kafkajs';
import { crashPoint } from './crash-point.ts';

const [bootstrap = 'localhost:9092', groupId = 'my-group', topic = 'my-topic'] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'example', brokers: bootstrap.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({
  ...{ groupId, sessionTimeout: 6000, heartbeatInterval: 500 },
  retry: { initialRetryTime: 100, retries: 3 },
});

/** KafkaJS repeats a commit at a dead coordinator until it gives up; told of a rebalance, it looks for the living one. */
function rejoin(error: Error): never {
  throw Object.assign(error, { type: 'REBALANCE_IN_PROGRESS' });
}

await consumer.connect();
await consumer.subscribe({ topics: [topic], fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ topic, partition, message }) => {
    const value = String(message.value);
    await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(message.offset) + 1n) }]).catch(rejoin);
    crashPoint(value);
    console.log(`processed ${value}`);
  },
});
