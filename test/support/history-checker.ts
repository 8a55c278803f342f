/**
 * Did a cluster keep its promises? Takes what clients wrote down while they sent, and what readers found afterwards, and
 * returns every broken promise. Checks C1, C2, C3, C8, C11, C13 and C24 of the replication rules (after Jepsen's
 * `kafka.clj`):
 *
 *     C1   one offset, two values: between readers, between replicas, or between an ack and a reader
 *     C2   a lost write: acknowledged with acks=all, absent from a partition that was read to its end
 *     C3   a duplicate: one value at two offsets, though its producer was idempotent
 *     C8   offsets of one producer fall within one partition (gaps are allowed)
 *     C11  a committed offset falls, is beyond the end of its partition, or is gone
 *     C13  two owners of a partition in one generation of a group, or a commit of an older owner accepted
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
  check: 'C1' | 'C2' | 'C3' | 'C8' | 'C11' | 'C13' | 'C24';
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

/** One member's attempt to commit one offset. Times are of one clock for all who took part, in milliseconds. */
export interface OffsetCommitAttempt {
  group: string;
  member: string;
  /** Topic and partition, however they are written. */
  partition: string;
  offset: number;
  /** Generation, or member epoch of the new protocol; null where the client does not tell. */
  generation: number | null;
  /** As of `SentRecord`: `info` may have taken effect at any time from `fromMs` on. */
  outcome: 'ok' | 'fail' | 'info';
  fromMs: number;
  untilMs: number;
}

/** What a coordinator answered to somebody who asked for a committed offset; -1: none. */
export interface CommittedOffsetAnswer {
  reader: string;
  group: string;
  partition: string;
  offset: number;
  fromMs: number;
  untilMs: number;
}

/** A member has learnt that a partition is its own. */
export interface PartitionOwner {
  group: string;
  member: string;
  partition: string;
  generation: number;
  atMs: number;
}

export interface GroupHistory {
  commits: readonly OffsetCommitAttempt[];
  answers: readonly CommittedOffsetAnswer[];
  owners: readonly PartitionOwner[];
  /** End offset of each partition, asked for after everything else. */
  endOffsets: ReadonlyMap<string, number>;
}

/** C11 and C13 over the history of groups. */
export function checkGroupHistory({ commits, answers, owners, endOffsets }: GroupHistory): Violation[] {
  const violations: Violation[] = [];
  const keyOf = ({ group, partition }: { group: string; partition: string }): string => `${group}\0${partition}`;
  const commitsOf = Map.groupBy(commits, keyOf);
  for (const [key, told] of Map.groupBy(answers, keyOf))
    violations.push(...checkCommittedOffsets(commitsOf.get(key) ?? [], told, endOffsets));
  const ownersOf = Map.groupBy(owners, keyOf);
  for (const [key, all] of ownersOf) violations.push(...checkOwners(all, commitsOf.get(key) ?? []));
  return violations;
}

/**
 * The answers of one partition of one group. What may be told is what a register holds: nothing older than an accepted
 * commit, or another answer, that had come back before the question went out, unless somebody committed that very
 * offset later (a member that starts again where the group had been does).
 */
function checkCommittedOffsets(
  commits: readonly OffsetCommitAttempt[],
  answers: readonly CommittedOffsetAnswer[],
  endOffsets: ReadonlyMap<string, number>,
): Violation[] {
  const violations: Violation[] = [];
  interface Known {
    offset: number;
    fromMs: number;
    untilMs: number;
    who: string;
  }
  const accepted = commits.filter(({ outcome }) => outcome === 'ok');
  const known: Known[] = [
    ...accepted.map(({ member, ...rest }) => ({ ...rest, who: `the commit of ${member}` })),
    ...answers.map(({ reader, ...rest }) => ({ ...rest, who: `the answer to ${reader}` })),
  ].sort((a, b) => a.untilMs - b.untilMs);
  const attemptsAt = Map.groupBy(
    commits.filter(({ outcome }) => outcome !== 'fail'),
    ({ offset }) => offset,
  );
  let next = 0;
  let highest: Known | null = null;
  for (const answer of answers.toSorted((a, b) => a.fromMs - b.fromMs)) {
    for (let one = known[next]; one !== undefined && one.untilMs < answer.fromMs; one = known[++next])
      if (highest === null || one.offset >= highest.offset) highest = one;
    const { group, partition, offset, reader } = answer;
    const found = { partition: null, offset, values: [] };
    const end = endOffsets.get(partition);
    if (end !== undefined && offset > end)
      violations.push({
        check: 'C11',
        ...found,
        message: `${group} is told ${offset} for ${partition} (${reader}), beyond its end ${end}`,
      });
    if (highest === null || offset >= highest.offset) continue;
    const before: Known = highest;
    const isRewound = (attemptsAt.get(offset) ?? []).some(
      ({ fromMs, untilMs, outcome }) => fromMs <= answer.untilMs && (outcome === 'info' || untilMs >= before.fromMs),
    );
    if (isRewound) highest = { ...answer, who: `the answer to ${reader}` };
    else
      violations.push({
        check: 'C11',
        ...found,
        message:
          `${group} is told ${offset < 0 ? 'no offset' : offset} for ${partition} (${reader}, asked at ${answer.fromMs}), ` +
          `after ${before.who} of ${before.offset} at ${before.untilMs}`,
      });
  }
  return violations;
}

/** The owners of one partition in one group, and what was committed for it. */
function checkOwners(owners: readonly PartitionOwner[], commits: readonly OffsetCommitAttempt[]): Violation[] {
  const violations: Violation[] = [];
  const ofGeneration = new Map<number, PartitionOwner>();
  for (const owner of owners.toSorted((a, b) => a.atMs - b.atMs)) {
    const { group, partition, generation, member } = owner;
    const first = ofGeneration.get(generation);
    if (first === undefined) ofGeneration.set(generation, owner);
    else if (first.member !== member)
      violations.push({
        check: 'C13',
        partition: null,
        offset: null,
        values: [first.member, member],
        message: `${partition} belongs to ${first.member} and to ${member} in generation ${generation} of ${group}`,
      });
  }
  for (const { group, member, partition, offset, generation, outcome, fromMs } of commits) {
    if (outcome !== 'ok' || generation === null) continue;
    const newer = owners.find(
      (owner) => owner.member !== member && owner.generation > generation && owner.atMs < fromMs,
    );
    if (newer !== undefined)
      violations.push({
        check: 'C13',
        partition: null,
        offset,
        values: [newer.member, member],
        message: `${member} committed ${offset} for ${partition} in generation ${generation} of ${group}, after ${newer.member} had it in ${newer.generation}`,
      });
  }
  return violations;
}
