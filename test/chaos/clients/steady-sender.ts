/** When is which value due? Calls `send` at a steady rate for every partition until standard input ends. */

/** CLOCK_MONOTONIC in milliseconds: comparable between the processes of one machine. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

export async function produceSteadily(
  partitions: number,
  ratePerPartition: number,
  name: string,
  send: (partition: number, value: string) => void,
): Promise<void> {
  const begun = monotonicMs();
  let sent = 0;
  const ticker = setInterval(() => {
    for (const due = ((monotonicMs() - begun) * ratePerPartition) / 1000; sent < due; sent++)
      for (let partition = 0; partition < partitions; partition++) send(partition, `${name}-${partition}-${sent}`);
  }, 2);
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
  clearInterval(ticker);
}
