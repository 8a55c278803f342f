/**
 * One run from the outside: starts the generator, reads the brokers' CPU and memory exactly when the measured span
 * begins and ends, and returns both sides as one result.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { summariseLatencies } from './percentiles.ts';
import { cpuSecondsOf, usageOf } from './process-usage.ts';
import type { RunResult } from './results.ts';
import type { GeneratorCount, GeneratorMessage, Workload } from './workload.ts';

const generatorPath = fileURLToPath(new URL('./generator.ts', import.meta.url));

/** Runs `workload` in a process of its own while watching `pids`. Throws with the generator's reason when it fails. */
export async function measure(workload: Workload, pids: readonly number[]): Promise<RunResult['result']> {
  const residentBefore = pids.map((pid) => usageOf(pid).residentBytes);
  let cpuBefore = 0;
  let cpuAfter = 0;
  const child = fork(generatorPath, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const count = await new Promise<GeneratorCount>((resolve, reject) => {
    child.on('message', (message: GeneratorMessage) => {
      if (message.kind === 'measuring') cpuBefore = cpuSecondsOf(pids);
      else if (message.kind === 'failed') reject(new Error(message.reason));
      else {
        cpuAfter = cpuSecondsOf(pids);
        resolve(message.count);
      }
    });
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the generator ended with code ${code}`)));
    child.send(workload);
  }).finally(() => {
    if (child.connected) child.disconnect();
  });
  const after = pids.map(usageOf);
  const cpuSeconds = cpuAfter - cpuBefore;
  const gigabytes = count.valueBytes / 1e9;
  return {
    seconds: count.seconds,
    valueBytes: count.valueBytes,
    records: count.records,
    requests: count.requests,
    megabytesPerSecond: count.valueBytes / 1e6 / count.seconds,
    recordsPerSecond: count.records / count.seconds,
    generatorCpuShare: count.cpuSeconds / count.seconds,
    latencyMs: count.latencies === null ? null : summariseLatencies(Float64Array.from(count.latencies)),
    brokers:
      pids.length === 0
        ? null
        : {
            cpuSecondsPerGigabyte: cpuSeconds / gigabytes,
            cpuShare: cpuSeconds / count.seconds,
            residentBytesBefore: residentBefore,
            residentBytesAfter: after.map(({ residentBytes }) => residentBytes),
            peakResidentBytes: after.map(({ peakResidentBytes }) => peakResidentBytes),
          },
  };
}
