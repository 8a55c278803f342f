/** A member by KafkaJS; see report.ts. One commit for each batch that it has written down. */
import { Kafka, logLevel } from 'kafkajs';
import { sleepMs } from '../raw-cluster.ts';
import { tellAssigned, tellCommit, tellRead, untilAskedToLeave, wanted } from './report.ts';

const { brokers, group, topics, name, sessionTimeoutMs } = wanted;
// Its own log goes to standard output, where events go.
const logCreator = () => (entry: object) => void process.stderr.write(`${JSON.stringify(entry)}\n`);
const retry = { initialRetryTime: 100, maxRetryTime: 500, retries: 15 };
const kafka = new Kafka({ clientId: name, brokers, retry, logLevel: logLevel.ERROR, logCreator });
const consumer = kafka.consumer({
  groupId: group,
  sessionTimeout: sessionTimeoutMs,
  heartbeatInterval: Math.floor(sessionTimeoutMs / 10),
  maxWaitTimeInMs: 100,
  retry,
});

/**
 * KafkaJS (2.2.4) asks the coordinator that it knows again and again, dead or not, until it gives up and starts anew as
 * another member; the group then waits for the session of the old one. Told that its group rebalances (`isRebalancing`)
 * it looks for its coordinator at once, and joins as the member that it is.
 */
function rejoin(error: Error): never {
  throw Object.assign(error, { type: 'REBALANCE_IN_PROGRESS' });
}

async function start(): Promise<void> {
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, heartbeat }) => {
      const { topic, partition, messages } = batch;
      for (const { offset, value } of messages) tellRead({ topic, partition }, offset, String(value));
      const last = messages.at(-1);
      if (last === undefined) return;
      resolveOffset(last.offset);
      const offset = String(BigInt(last.offset) + 1n);
      // Not `consumer.commitOffsets`, which repeats what fails, for each batch that waits.
      await tellCommit(
        { topic, partition },
        offset,
        () => null,
        () => commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] }),
      ).catch(rejoin);
      await heartbeat().catch(rejoin);
    },
  });
}

consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  const places = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
  tellAssigned(null, places);
});
// It does not start again by itself where it found nobody to ask for its coordinator.
consumer.on(consumer.events.CRASH, async ({ payload }) => {
  if (payload.restart) return;
  while (
    !(await start().then(
      () => true,
      () => false,
    ))
  )
    await sleepMs(retry.maxRetryTime);
});
await start();
await untilAskedToLeave();
await consumer.disconnect();
process.exit();
