/**
 * At most once: a record is committed before it is dealt with. A crash in between loses it, and none is repeated.
 * With @platformatic/kafka:
 *
 *     node test/examples/at-most-once-platformatic.ts localhost:9092 my-group my-topic
 */
import { Consumer } from '@platformatic/kafka';
import { crashPoint } from './crash-point.ts';

const [bootstrap = 'localhost:9092', groupId = 'my-group', topic = 'my-topic'] = process.argv.slice(2);
const consumer = new Consumer({
  clientId: 'example',
  groupId,
  bootstrapBrokers: bootstrap.split(','),
  sessionTimeout: 6000,
  heartbeatInterval: 500,
  autocommit: false,
});
const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' });
for await (const message of stream) {
  const value = String(message.value);
  await message.commit();
  crashPoint(value);
  console.log(`processed ${value}`);
}
