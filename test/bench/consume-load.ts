/**
 * How fast does a cluster give records out? Each consumer asks its partitions' leaders for large answers, one request
 * under way per connection as real clients do, and reads nothing but batch headers. At the end of a partition it starts
 * again at 0, so that a run lasts as long as asked.
 */
import { performance } from 'node:perf_hooks';
import { RawCluster } from '../support/raw-cluster.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { decodeFetch, encodeFetch, errorCode } from '../support/raw-requests.ts';
import { batchesIn } from '../support/record-batches.ts';
import type { Phases } from './produce-load.ts';
import type { ConsumeWorkload, GeneratorCount } from './workload.ts';

export async function runConsumeLoad(workload: ConsumeWorkload, { onMeasuring }: Phases): Promise<GeneratorCount> {
  const { topic, connections } = workload;
  const cluster = new RawCluster(workload.bootstrap);
  const { brokers, partitions } = await cluster.partitionsOf(topic);
  cluster.close();

  const lanes: { connection: RawConnection; at: { partition: number; fetchOffset: number }[] }[] = [];
  for (const broker of brokers) {
    const led = partitions.filter(({ leader }) => leader === broker.id).map(({ partition }) => partition);
    for (let consumer = 0; consumer < Math.min(connections, led.length); consumer++)
      lanes.push({
        connection: await RawConnection.open(broker.host, broker.port),
        at: led
          .filter((_, index) => index % connections === consumer)
          .map((partition) => ({ partition, fetchOffset: 0 })),
      });
  }

  return await new Promise<GeneratorCount>((resolve, reject) => {
    let storedBytes = 0;
    let records = 0;
    let requests = 0;
    let startMs = 0;
    let startCpu = process.cpuUsage();
    let isDone = false;

    const fail = (error: Error): void => {
      if (isDone) return;
      isDone = true;
      for (const { connection } of lanes) connection.close();
      reject(error);
    };
    const limits = {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: workload.fetchBytes,
      partitionMaxBytes: workload.partitionFetchBytes,
    };
    const fetch = (lane: (typeof lanes)[number]): void => {
      lane.connection.send(
        encodeFetch(topic, lane.at, limits),
        (answer) => {
          if (isDone) return;
          for (const { partition, error, records: bytes, highWatermark } of decodeFetch(answer)) {
            if (error !== errorCode.none) return fail(new Error(`fetch of ${topic}-${partition}: error ${error}`));
            const at = lane.at.find((one) => one.partition === partition);
            if (at === undefined || bytes === null) continue;
            for (const batch of batchesIn(bytes)) {
              at.fetchOffset = batch.lastOffset + 1;
              storedBytes += batch.bytes.length;
              records += batch.recordCount;
            }
            if (at.fetchOffset >= highWatermark) at.fetchOffset = 0;
          }
          // A partition that came first and filled the answer goes last next time (KIP-74 leaves the order to clients).
          const first = lane.at.shift();
          if (first !== undefined) lane.at.push(first);
          requests += 1;
          fetch(lane);
        },
        fail,
      );
    };
    setTimeout(() => {
      storedBytes = 0;
      records = 0;
      requests = 0;
      startMs = performance.now();
      startCpu = process.cpuUsage();
      onMeasuring();
      setTimeout(() => {
        const seconds = (performance.now() - startMs) / 1000;
        const cpu = process.cpuUsage(startCpu);
        isDone = true;
        for (const { connection } of lanes) connection.close();
        const cpuSeconds = (cpu.user + cpu.system) / 1e6;
        const valueBytes = storedBytes * workload.valueShare;
        resolve({ seconds, valueBytes, records, requests, cpuSeconds, latencies: null });
      }, workload.seconds * 1000);
    }, workload.warmupSeconds * 1000);
    for (const lane of lanes) fetch(lane);
  });
}
