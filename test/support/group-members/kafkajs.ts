/** A member by KafkaJS; see report.ts. One commit for each batch that it has written down. */
import { Kafka, logLevel } from 'kafkajs';
import { tellAssigned, tellCommit, tellRead, untilAskedToLeave, wanted } from './report.ts';

const { brokers, group, topics, name, sessionTimeoutMs } = wanted;
const kafka = new Kafka({ clientId: name, brokers, logLevel: logLevel.NOTHING });
const consumer = kafka.consumer({
  groupId: group,
  sessionTimeout: sessionTimeoutMs,
  heartbeatInterval: Math.floor(sessionTimeoutMs / 10),
  maxWaitTimeInMs: 100,
});
consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  const places = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
  tellAssigned(null, places);
});
await consumer.connect();
await consumer.subscribe({ topics, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch: { topic, partition, messages }, resolveOffset, heartbeat }) => {
    for (const { offset, value } of messages) tellRead({ topic, partition }, offset, String(value));
    const last = messages.at(-1);
    if (last === undefined) return;
    resolveOffset(last.offset);
    const offset = String(BigInt(last.offset) + 1n);
    // What is wrong with a commit is the group's concern: the heartbeat finds it out and joins again.
    await tellCommit(
      { topic, partition },
      offset,
      () => null,
      () => consumer.commitOffsets([{ topic, partition, offset }]),
    );
    await heartbeat();
  },
});
await untilAskedToLeave();
await consumer.disconnect();
process.exit();
