/**
 * How long does one record take at a rate well below the limit? Records fall due by the clock, `ratePerSecond` of them,
 * and each one's latency runs from the moment it was due: a cluster that stands still makes all records due meanwhile
 * late ("coordinated omission" would count one of them).
 *
 * A wake-up every millisecond sends what has fallen due, dealt out over the partitions, so about half a millisecond of
 * every figure is the generator's own timer. It is the same for whatever is measured.
 */
import { performance } from 'node:perf_hooks';
import { RawCluster } from '../support/raw-cluster.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { decodeProduce, encodeProduce, errorCode } from '../support/raw-requests.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import { loadValue, type Phases } from './produce-load.ts';
import { RateSchedule } from './rate-schedule.ts';
import type { GeneratorCount, LatencyWorkload } from './workload.ts';

/** A producer hands over no more than this in one batch however long it had to wait. */
const recordsPerBatch = 500;

interface Lane {
  connection: RawConnection;
  underWay: number;
  /** Due times of the records that wait, by partition. */
  waiting: Map<number, number[]>;
}

export async function runLatencyLoad(workload: LatencyWorkload, { onMeasuring }: Phases): Promise<GeneratorCount> {
  const { topic, acks, recordBytes, ratePerSecond } = workload;
  const cluster = new RawCluster(workload.bootstrap);
  const { brokers, partitions } = await cluster.partitionsOf(topic);
  cluster.close();
  const lanes = new Map<number, Lane>();
  for (const { id, host, port } of brokers)
    lanes.set(id, { connection: await RawConnection.open(host, port), underWay: 0, waiting: new Map() });
  const value = loadValue(recordBytes, 1);

  return await new Promise<GeneratorCount>((resolve, reject) => {
    const startMs = performance.now();
    const measureFromMs = startMs + workload.warmupSeconds * 1000;
    const endMs = measureFromMs + workload.seconds * 1000;
    const schedule = new RateSchedule(startMs, endMs, ratePerSecond);
    const latencies: number[] = [];
    let scheduled = 0;
    let answered = 0;
    let requests = 0;
    let isMeasuring = false;
    let startCpu = process.cpuUsage();

    const finish = (error: Error | null): void => {
      clearInterval(ticker);
      for (const { connection } of lanes.values()) connection.close();
      if (error !== null) {
        reject(error);
        return;
      }
      const cpu = process.cpuUsage(startCpu);
      const seconds = (performance.now() - measureFromMs) / 1000;
      const cpuSeconds = (cpu.user + cpu.system) / 1e6;
      const records = latencies.length;
      resolve({ seconds, valueBytes: records * recordBytes, records, requests, cpuSeconds, latencies });
    };
    const flush = (lane: Lane): void => {
      if (lane.waiting.size === 0 || lane.underWay >= workload.inFlight) return;
      const taken = [...lane.waiting].map(([partition, due]) => ({ partition, due: due.splice(0, recordsPerBatch) }));
      for (const [partition, due] of lane.waiting) if (due.length === 0) lane.waiting.delete(partition);
      const timestampMs = Date.now();
      const batches = taken.map(({ partition, due }) => ({
        partition,
        batch: encodeRecordBatch(Array(due.length).fill({ value }), { timestampMs }),
      }));
      lane.underWay += 1;
      lane.connection.send(
        encodeProduce(topic, acks, batches),
        (answer) => {
          const now = performance.now();
          const refused = decodeProduce(answer).find(({ error }) => error !== errorCode.none);
          if (refused !== undefined)
            return finish(new Error(`produce to ${topic}-${refused.partition}: error ${refused.error}`));
          lane.underWay -= 1;
          requests += 1;
          for (const { due } of taken)
            for (const dueMs of due) {
              answered += 1;
              if (dueMs >= measureFromMs) latencies.push(now - dueMs);
            }
          flush(lane);
        },
        finish,
      );
    };
    const ticker = setInterval(() => {
      const now = performance.now();
      if (!isMeasuring && now >= measureFromMs) {
        isMeasuring = true;
        requests = 0;
        startCpu = process.cpuUsage();
        onMeasuring();
      }
      for (const dueMs of schedule.takeDue(now)) {
        const target = partitions[scheduled % partitions.length];
        const lane = target === undefined ? undefined : lanes.get(target.leader);
        if (target === undefined || lane === undefined) {
          finish(new Error(`a partition of ${topic} has no leader`));
          return;
        }
        const due = lane.waiting.get(target.partition);
        if (due === undefined) lane.waiting.set(target.partition, [dueMs]);
        else due.push(dueMs);
        scheduled += 1;
      }
      for (const lane of lanes.values()) flush(lane);
      if (now >= endMs && answered === scheduled) finish(null);
    }, 1);
  });
}
