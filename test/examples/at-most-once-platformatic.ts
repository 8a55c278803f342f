/**
 * At most once: a record is committed before it is dealt with. A crash in between loses it, and none is repeated.
 * With @platformatic/kafka:
 *
 *     node test/examples/at-most-once-platformatic.ts localhost:9092 my-group my-topic
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Consumer } from '@platformatic/kafka';
import { crashPoint } from './crash-point.ts';

const [bootstrap = 'localhost:9092', groupId = 'my-group', topic = 'my-topic'] = process.argv.slice(2);
const options = {
  clientId: 'example',
  groupId,
  bootstrapBrokers: bootstrap.split(','),
  sessionTimeout: 6000,
  heartbeatInterval: 500,
  autocommit: false,
  retries: 10,
  retryDelay: 250,
};

async function readFrom(stream: Awaited<ReturnType<Consumer['consume']>>): Promise<void> {
  for await (const message of stream) {
    const value = String(message.value);
    await message.commit();
    crashPoint(value);
    console.log(`processed ${value}`);
  }
}

/** Rejects when it cannot join its group. */
async function consumeWith(consumer: Consumer): Promise<void> {
  for (;;) {
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' });
    // A broker that dies ends the stream, and a commit that waits then is never answered; the consumer gives another.
    const end = new Promise<void>((resolve) => stream.once('close', resolve));
    await Promise.race([readFrom(stream), end]).catch(console.error);
  }
}

/** Rejects when the consumer has lost its group: what it commits then is never answered. */
function untilLost(consumer: Consumer): Promise<never> {
  return new Promise((_, reject) => {
    consumer.on('error', reject);
    consumer.on('consumer:heartbeat:error', ({ error }) => reject(error));
  });
}

// A consumer that has lost its group does not always find it again: another one does.
for (;;) {
  const consumer = new Consumer(options);
  await Promise.race([consumeWith(consumer), untilLost(consumer)]).catch(console.error);
  await consumer.close(true).catch(console.error);
  await sleep(options.retryDelay);
}
