/** The process that makes the load: takes a workload over IPC, runs it, reports. Apart, so that its CPU can be told. */
import { runConsumeLoad } from './consume-load.ts';
import { runLatencyLoad } from './latency-load.ts';
import { type Phases, runProduceLoad } from './produce-load.ts';
import type { GeneratorCount, GeneratorMessage, Workload } from './workload.ts';

const report = (message: GeneratorMessage): void => void process.send?.(message);

function run(workload: Workload, phases: Phases): Promise<GeneratorCount> {
  switch (workload.kind) {
    case 'produce':
      return runProduceLoad(workload, phases);
    case 'consume':
      return runConsumeLoad(workload, phases);
    case 'latency':
      return runLatencyLoad(workload, phases);
  }
}

// The parent hangs up once it has the outcome, and that ends this process.
process.once('message', (workload: Workload) => {
  run(workload, { onMeasuring: () => report({ kind: 'measuring' }) }).then(
    (count) => report({ kind: 'measured', count }),
    (error: unknown) => report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) }),
  );
});
process.once('disconnect', () => process.exit());
