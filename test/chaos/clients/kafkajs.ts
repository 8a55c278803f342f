/** kafkajs with its defaults as a program; see README.md. One send under way per partition keeps its order. */
import { Kafka, logLevel } from 'kafkajs';
import { monotonicMs, produceSteadily } from './steady-sender.ts';

const [bootstrap = '', topic = '', partitions = '', rate = '', name = 'kafkajs'] = process.argv.slice(2);
const kafka = new Kafka({ clientId: name, brokers: bootstrap.split(','), logLevel: logLevel.NOTHING });
const producer = kafka.producer();
await producer.connect();

const queues = Array.from({ length: Number(partitions) }, (): string[] => []);
let isStopping = false;

async function drive(partition: number, queue: string[]): Promise<void> {
  for (;;) {
    if (queue.length === 0) {
      if (isStopping) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    const values = queue.splice(0, 500);
    try {
      const [answer] = await producer.send({ topic, messages: values.map((value) => ({ partition, value })) });
      const now = monotonicMs();
      const baseOffset = Number(answer?.baseOffset);
      for (const [index, value] of values.entries())
        process.stdout.write(`ack ${partition} ${baseOffset + index} ${value} ${now}\n`);
    } catch (error) {
      const reason = String(error).replaceAll('\n', ' ');
      for (const value of values) process.stdout.write(`err ${partition} ${value} ${reason}\n`);
    }
  }
}

const loops = queues.map((queue, partition) => drive(partition, queue));
await produceSteadily(queues.length, Number(rate), name, (partition, value) => queues[partition]?.push(value));
isStopping = true;
await Promise.all(loops);
await producer.disconnect();
process.exit();
