/** The raw client as a program; see README.md. */
import { RawProducer } from '../../support/raw-producer.ts';
import { monotonicMs, produceSteadily } from './steady-sender.ts';

const [bootstrap = '', topic = '', partitions = '', rate = '', name = 'raw'] = process.argv.slice(2);
const producer = new RawProducer(bootstrap, topic, ({ partition, offset, value }) =>
  process.stdout.write(`ack ${partition} ${offset} ${value} ${monotonicMs()}\n`),
);
await producer.start(Number(partitions));
await produceSteadily(Number(partitions), Number(rate), name, (partition, value) => producer.send(partition, value));
await producer.stop();
