/** A member by KafkaJS; see report.ts. One commit for each batch that it has written down. */
import { Kafka, logLevel } from 'kafkajs';
import { tellAssigned, tellCommit, tellRead, untilAskedToLeave, wanted } from './report.ts';

const { brokers, group, topics, name, sessionTimeoutMs } = wanted;
// Its own log goes to standard output, where events go.
const logCreator = () => (entry: object) => void process.stderr.write(`${JSON.stringify(entry)}\n`);
const kafka = new Kafka({ clientId: name, brokers, logLevel: logLevel.ERROR, logCreator });
const consumer = kafka.consumer({
  groupId: group,
  sessionTimeout: sessionTimeoutMs,
  heartbeatInterval: Math.floor(sessionTimeoutMs / 10),
  maxWaitTimeInMs: 100,
  retry: { initialRetryTime: 100, retries: 3 },
});

/**
 * KafkaJS repeats a commit at the coordinator that it knows, dead or not, until it gives up; then it ends its consumer and
 * starts another, whose group waits for the sessions of all that ended so. It looks for its coordinator, and joins as the
 * member that it is, where it is told that the group rebalances (`isRebalancing`).
 */
function rejoin(error: Error): never {
  throw Object.assign(error, { type: 'REBALANCE_IN_PROGRESS' });
}

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
    await tellCommit(
      { topic, partition },
      offset,
      () => null,
      () => consumer.commitOffsets([{ topic, partition, offset }]),
    ).catch(rejoin);
    await heartbeat();
  },
});
await untilAskedToLeave();
await consumer.disconnect();
process.exit();
