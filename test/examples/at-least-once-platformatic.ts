/**
 * At least once: what was done is committed afterwards. A crash in between repeats a record, and loses none.
 * With @platformatic/kafka:
 *
 *     node test/examples/at-least-once-platformatic.ts localhost:9092 my-group my-topic
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
  console.log(`processed ${value}`);
  crashPoint(value);
  await message.commit();
}
