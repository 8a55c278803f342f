/**
 * Did a cluster keep its promises? Takes what clients wrote down while they sent, and what readers found afterwards, and
 * returns every broken promise. Checks C1, C2, C3, C8 and C24 of the replication rules (after Jepsen's `kafka.clj`):
 *
 *     C1   one offset, two values: between readers, between replicas, or between an ack and a reader
 *     C2   a lost write: acknowledged with acks=all, absent from a partition that was read to its end
 *     C3   a duplicate: one value at two offsets, though its producer was idempotent
 *     C8   offsets of one producer fall within one partition (gaps are allowed)
 *     C24  a phantom: a value that nobody sent, or whose sending surely failed
 *
 * Values are unique over the whole history; without that nothing here can be told apart.
 */

/** One record that a client sent, in the client's own order of sending within its process. */
export interface SentRecord {
  /** Names the producer; the order of its events in the history is the order in which it sent. */
  process: string;
  value: string;
  /**
   * `ok`: acknowledged. `fail`: surely not appended (a single attempt answered with a refusal made before the append).
   * `info`: may or may not be there (timeout, disconnect, any error from a library that retries by itself).
   */
  outcome: 'ok' | 'fail' | 'info';
  acks: 'all' | 1 | 0;
  isIdempotent: boolean;
  /** Null where the client does not learn it. */
  partition: number | null;
  offset: number | null;
}

/** What one reader found in one partition; several readers (one per replica) may report the same partition. */
export interface PartitionRead {
  reader: string;
  partition: number;
  records: Iterable<{ offset: number; value: string }>;
  /** True when the reader went from the log start to the high watermark after the faults had healed. */
  isReadToEnd: boolean;
}

export interface Violation {
  check: 'C1' | 'C2' | 'C3' | 'C8' | 'C24';
  partition: number | null;
  offset: number | null;
  values: string[];
  /** One sentence for people. */
  message: string;
}

interface Place {
  partition: number;
  offset: number;
}

export function checkHistory(sent: Iterable<SentRecord>, reads: Iterable<PartitionRead>): Violation[] {
  const violations: Violation[] = [];
  const sends = new Map<string, SentRecord>();
  for (const record of sent) {
    if (sends.has(record.value))
      throw new Error(`the value ${record.value} was sent twice: histories need unique values`);
    sends.set(record.value, record);
  }

  const valueAt = new Map<number, Map<number, string>>();
  const placesOf = new Map<string, Place[]>();
  const note = (partition: number, offset: number, value: string, who: string): void => {
    const values = valueAt.get(partition) ?? new Map<number, string>();
    valueAt.set(partition, values);
    const earlier = values.get(offset);
    if (earlier === undefined) values.set(offset, value);
    else if (earlier !== value)
      violations.push({
        check: 'C1',
        partition,
        offset,
        values: [earlier, value],
        message: `offset ${offset} of partition ${partition} holds ${earlier}, and ${value} according to ${who}`,
      });
  };

  const readToEnd = new Set<number>();
  for (const read of reads) {
    if (read.isReadToEnd) readToEnd.add(read.partition);
    for (const { offset, value } of read.records) {
      note(read.partition, offset, value, read.reader);
      const places = placesOf.get(value);
      if (places === undefined) placesOf.set(value, [{ partition: read.partition, offset }]);
      else if (!places.some((place) => place.partition === read.partition && place.offset === offset))
        places.push({ partition: read.partition, offset });
    }
  }

  for (const [value, places] of placesOf) {
    const send = sends.get(value);
    const place = places[0] ?? { partition: -1, offset: -1 };
    if (send === undefined || send.outcome === 'fail')
      violations.push({
        check: 'C24',
        ...place,
        values: [value],
        message: `${value} was read at ${place.partition}:${place.offset}, but ${send === undefined ? 'nobody sent it' : 'sending it had failed'}`,
      });
    if (places.length > 1 && send?.isIdempotent === true)
      violations.push({
        check: 'C3',
        ...place,
        values: [value],
        message: `${value} stands ${places.length} times: ${places.map((at) => `${at.partition}:${at.offset}`).join(', ')}`,
      });
  }

  const isEverythingRead = (partition: number | null): boolean =>
    partition === null ? readToEnd.size > 0 && readToEnd.size === valueAt.size : readToEnd.has(partition);
  const latest = new Map<string, { place: Place; value: string }>();
  for (const send of sends.values()) {
    const { process, value, outcome, acks, partition, offset } = send;
    if (outcome === 'ok' && partition !== null && offset !== null)
      note(partition, offset, value, `the ack to ${process}`);
    const places = placesOf.get(value) ?? [];
    if (outcome === 'ok' && acks === 'all' && places.length === 0 && isEverythingRead(partition))
      violations.push({
        check: 'C2',
        partition,
        offset,
        values: [value],
        message: `${value} was acknowledged to ${process}${offset === null ? '' : ` at ${partition}:${offset}`} and is gone`,
      });

    const acked = outcome === 'ok' && partition !== null && offset !== null ? { partition, offset } : null;
    // Where a producer without idempotence left copies, the first copy decides: later ones are retries.
    const place = acked ?? places[0] ?? null;
    if (place === null) continue;
    const key = `${process}\0${place.partition}`;
    const before = latest.get(key);
    if (before !== undefined && place.offset <= before.place.offset)
      violations.push({
        check: 'C8',
        ...place,
        values: [before.value, value],
        message: `${process} sent ${before.value} (${place.partition}:${before.place.offset}) before ${value} (${place.partition}:${place.offset})`,
      });
    latest.set(key, { place, value });
  }
  return violations;
}
