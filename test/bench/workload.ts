/**
 * What does a load generator do, and what does it report? The three workloads as plain data, so that they can cross to
 * the process that runs them (`generator.ts`) and stand in the results file.
 */
export interface ProduceWorkload {
  kind: 'produce';
  bootstrap: string;
  topic: string;
  acks: 1 | -1;
  /** Bytes of one record's value; the values are what MB/s counts. */
  recordBytes: number;
  /** About how large a batch is, header and record overhead included. */
  batchBytes: number;
  /** Connections to each leader, as from so many producers. */
  connections: number;
  /** Requests under way per connection (Java's max.in.flight.requests.per.connection: 5). */
  inFlight: number;
  warmupSeconds: number;
  seconds: number;
  /** Stops early once so many bytes of values were sent, warm-up included. */
  maxBytes: number;
}

export interface ConsumeWorkload {
  kind: 'consume';
  bootstrap: string;
  topic: string;
  /** Consumers; the partitions are dealt out among them. */
  connections: number;
  /** Largest answer (Java's fetch.max.bytes: 50 MiB) and its share per partition (max.partition.fetch.bytes: 1 MiB). */
  fetchBytes: number;
  partitionFetchBytes: number;
  /** Value bytes over stored bytes, to count what `produce` counts. */
  valueShare: number;
  warmupSeconds: number;
  seconds: number;
}

export interface LatencyWorkload {
  kind: 'latency';
  bootstrap: string;
  topic: string;
  acks: 1 | -1;
  recordBytes: number;
  /** Records a second over all partitions, sent whether or not earlier ones are answered. */
  ratePerSecond: number;
  /** Requests under way per leader; while so many are, records wait and share a batch, as in any client. */
  inFlight: number;
  warmupSeconds: number;
  seconds: number;
}

export type Workload = ProduceWorkload | ConsumeWorkload | LatencyWorkload;

/** What a generator counted between the end of the warm-up and its last answer. */
export interface GeneratorCount {
  seconds: number;
  valueBytes: number;
  records: number;
  requests: number;
  /** Its own CPU time over the same span. */
  cpuSeconds: number;
  /** Milliseconds per record from its scheduled time to its acknowledgement; only for `latency`. */
  latencies: number[] | null;
}

/** From the generator to its parent: when to read the brokers' CPU, and the outcome. */
export type GeneratorMessage =
  | { kind: 'measuring' }
  | { kind: 'measured'; count: GeneratorCount }
  | { kind: 'failed'; reason: string };
