/**
 * How fast does a cluster take records? Each partition gets one batch, built once; each connection keeps `inFlight`
 * requests with its leader's batches under way and sends the next as soon as one is answered. So the generator copies
 * nothing and computes nothing per record: what it costs is writing sockets.
 */
import { performance } from 'node:perf_hooks';
import { RawCluster } from '../support/raw-cluster.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { decodeProduce, encodeProduce, errorCode } from '../support/raw-requests.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import type { GeneratorCount, ProduceWorkload } from './workload.ts';

/** Bytes of a record besides its value: length, attributes, deltas, no key, value length, no headers. */
const recordOverheadBytes = 10;
/** A warm-up uses up no more than this of `maxBytes`, however long it was to last. */
const warmupBytesShare = 0.2;
/** Java's max.request.size: partitions share a request up to here. */
const requestBytes = 1024 * 1024;

/** A value of `length` letters, as Kafka's own load program makes them, different at each place. */
export function loadValue(length: number, seed: number): Buffer {
  const value = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    value[at] = 65 + ((state >>> 16) % 26);
  }
  return value;
}

/** A batch of about `batchBytes`, of at least one record. */
export function loadBatch(
  recordBytes: number,
  batchBytes: number,
  timestampMs: number,
  seed: number,
): { batch: Buffer; records: number } {
  const records = Math.max(1, Math.floor(batchBytes / (recordBytes + recordOverheadBytes)));
  const values = Array.from({ length: records }, (_, index) => ({ value: loadValue(recordBytes, seed + index) }));
  return { batch: encodeRecordBatch(values, { timestampMs }), records };
}

export interface Phases {
  /** Called at the end of the warm-up, and when the last measured answer is in. */
  onMeasuring: () => void;
}

/** One producer's connection to one leader, and the requests that it sends in turn. */
interface Lane {
  connection: RawConnection;
  requests: { frame: Buffer; records: number }[];
  next: number;
}

export async function runProduceLoad(workload: ProduceWorkload, { onMeasuring }: Phases): Promise<GeneratorCount> {
  const { topic, acks, recordBytes, batchBytes, connections, inFlight, maxBytes } = workload;
  const cluster = new RawCluster(workload.bootstrap);
  const { brokers, partitions } = await cluster.partitionsOf(topic);
  cluster.close();

  const lanes: Lane[] = [];
  for (const broker of brokers) {
    const led = partitions.filter(({ leader }) => leader === broker.id);
    const perRequest = Math.max(1, Math.floor(requestBytes / batchBytes));
    const requests: Lane['requests'] = [];
    for (let first = 0; first < led.length; first += perRequest) {
      const built = led.slice(first, first + perRequest).map(({ partition }) => ({
        partition,
        ...loadBatch(recordBytes, batchBytes, Date.now(), partition * 1_000_003),
      }));
      const records = built.reduce((sum, one) => sum + one.records, 0);
      requests.push({ frame: encodeProduce(topic, acks, built, first), records });
    }
    for (let count = 0; count < connections && requests.length > 0; count++)
      lanes.push({ connection: await RawConnection.open(broker.host, broker.port), requests, next: count });
  }
  if (lanes.length === 0) throw new Error(`no broker leads a partition of ${topic}`);

  return await new Promise<GeneratorCount>((resolve, reject) => {
    let records = 0;
    let requests = 0;
    let sentRecords = 0;
    let underWay = 0;
    let startMs = 0;
    let startCpu = process.cpuUsage();
    let isStopping = false;
    let warmup: NodeJS.Timeout | null = null;
    let stopper: NodeJS.Timeout | undefined;

    const fail = (error: Error): void => {
      for (const { connection } of lanes) connection.close();
      reject(error);
    };
    const finish = (): void => {
      clearTimeout(stopper);
      const cpu = process.cpuUsage(startCpu);
      const seconds = (performance.now() - startMs) / 1000;
      for (const { connection } of lanes) connection.close();
      const cpuSeconds = (cpu.user + cpu.system) / 1e6;
      resolve({ seconds, valueBytes: records * recordBytes, records, requests, cpuSeconds, latencies: null });
    };
    const measure = (): void => {
      if (warmup === null) return;
      clearTimeout(warmup);
      warmup = null;
      records = 0;
      requests = 0;
      startMs = performance.now();
      startCpu = process.cpuUsage();
      onMeasuring();
      stopper = setTimeout(() => {
        isStopping = true;
      }, workload.seconds * 1000);
    };
    const send = (lane: Lane): void => {
      const sentBytes = sentRecords * recordBytes;
      if (sentBytes >= maxBytes * warmupBytesShare) measure();
      if (sentBytes >= maxBytes) isStopping = true;
      const request = lane.requests[lane.next++ % lane.requests.length];
      if (isStopping || request === undefined) {
        if (underWay === 0) finish();
        return;
      }
      underWay += 1;
      sentRecords += request.records;
      lane.connection.send(
        request.frame,
        (answer) => {
          const refused = decodeProduce(answer).find(({ error }) => error !== errorCode.none);
          if (refused !== undefined)
            return fail(new Error(`produce to ${topic}-${refused.partition}: error ${refused.error}`));
          underWay -= 1;
          records += request.records;
          requests += 1;
          send(lane);
        },
        fail,
      );
    };
    warmup = setTimeout(measure, workload.warmupSeconds * 1000);
    if (workload.warmupSeconds === 0) measure();
    for (const lane of lanes) for (let slot = 0; slot < inFlight; slot++) send(lane);
  });
}
