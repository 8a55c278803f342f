/**
 * What must hold after each step, apart from how the world got there (replication-invariants §1 A, B). Each is an
 * object that hears what happens and throws `InvariantViolation`; all look only at what the step touched, so that they
 * are cheap, and once more at everything at the end.
 */
import type { MetadataTxn } from '../../src/controller/metadata-store.ts';
import type { GroupRecord } from '../../src/coordinator/group-records.ts';
import type { GroupAnswer } from '../../src/coordinator/group-requests.ts';
import { type BrokerId, noBroker, type Offset } from '../../src/model/brands.ts';
import { type BrokerRecord, keys, type PartitionRecord } from '../../src/model/metadata-schema.ts';
import type { LeaderState } from '../../src/replication/leader-state.ts';
import type { GroupAsk } from './groups/group-ask.ts';
import type { GroupMember } from './groups/group-plan.ts';
import type { SimulatedCoordinator } from './groups/simulated-coordinator.ts';
import type { ModelLog, ModelRecord } from './model-log.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { SimulatedReplica } from './simulated-replica.ts';
import type { World } from './world.ts';

export class InvariantViolation extends Error {
  override name = 'InvariantViolation';
  readonly invariant: string;
  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

export interface PartitionWrite {
  readonly key: string;
  readonly before: PartitionRecord | null;
  readonly after: PartitionRecord;
}

export interface AckedWrite {
  readonly key: string;
  readonly baseOffset: Offset;
  readonly acks: number;
  readonly values: readonly number[];
}

export interface Invariant {
  readonly name: string;
  onTxn?(world: World, txn: MetadataTxn): void;
  onPartitionWritten?(world: World, write: PartitionWrite): void;
  onBrokerWritten?(world: World, id: BrokerId, before: BrokerRecord | null, after: BrokerRecord): void;
  onLeading?(world: World, id: BrokerId, replica: SimulatedReplica, state: LeaderState): void;
  onHighWatermark?(world: World, id: BrokerId, replica: SimulatedReplica, state: LeaderState): void;
  onAppending?(world: World, id: BrokerId, replica: SimulatedReplica, records: readonly ModelRecord[]): void;
  onCutting?(world: World, id: BrokerId, replica: SimulatedReplica, end: Offset): void;
  onQuarantined?(world: World, id: BrokerId, replica: SimulatedReplica, reason: string): void;
  onTakingWrite?(world: World, process: SimulatedProcess, replica: SimulatedReplica, acks: number): void;
  onAcked?(world: World, write: AckedWrite): void;
  /** A client sends a request to whom it takes for the coordinator of a group. */
  onGroupSent?(world: World, ask: GroupAsk): void;
  /** It has arrived there and is about to be handled. */
  onGroupHandling?(world: World, ask: GroupAsk, coordinator: SimulatedCoordinator): void;
  /** The coordinator lets the answer go, whether or not it arrives. */
  onGroupAnswered?(world: World, ask: GroupAsk, answer: GroupAnswer, coordinator: SimulatedCoordinator): void;
  /** A member has learnt what it is to read. */
  onPartitionsHeld?(world: World, member: GroupMember, partitions: readonly number[]): void;
  onGroupRecordCommitted?(world: World, record: GroupRecord): void;
  atEnd?(world: World): void;
}

export const fail = (invariant: Invariant, message: string): never => {
  throw new InvariantViolation(invariant.name, message);
};

/** Members of ISR and ELR, and the leader, hold everything committed; those that restarted lossy are excused. */
function assertHolds(
  invariant: Invariant,
  world: World,
  key: string,
  id: BrokerId,
  from: number,
  what: string,
  until?: number,
): void {
  if (world.isExcused(id, key)) return;
  const log = world.logOf(id, key);
  const committed = world.committedOf(key);
  for (let at = Math.max(from, log?.startOffset ?? 0); at < (until ?? committed.length); at++) {
    const expected = committed[at];
    const found = log?.at(at);
    if (expected === undefined || (found?.value === expected.value && found.epoch === expected.epoch)) continue;
    const holds = found ? `${found.value} of epoch ${found.epoch}` : `nothing (its log ends at ${log?.endOffset ?? 0})`;
    fail(
      invariant,
      `${what} ${id} of ${key} holds ${holds} at offset ${at}, committed is ${expected.value} of epoch ${expected.epoch}`,
    );
  }
}

export const invariants = (): Invariant[] => [
  {
    name: 'I2 control writes are guarded',
    onTxn(world, { compares, mutations }) {
      const isControl = mutations.some(({ key }) => /^(parts|brokers|topics|names)\//.test(key));
      if (!isControl) return;
      const epoch = world.audit.controllerEpoch();
      if (!compares.some(({ key, modRevision }) => key === keys.controller && modRevision === epoch))
        fail(this, `a write of ${mutations.map(({ key }) => key).join(', ')} does not compare the controller epoch`);
    },
  },
  {
    name: 'I5 a restarted broker is a new one',
    onBrokerWritten(world, id, before, after) {
      if (before && after.brokerEpoch < before.brokerEpoch)
        fail(this, `broker ${id} went back to epoch ${after.brokerEpoch}`);
      if (!before || after.brokerEpoch === before.brokerEpoch) return;
      for (const { key, record } of world.partitions()) {
        if (record.leader === id)
          fail(this, `broker ${id} has epoch ${after.brokerEpoch} and its former self leads ${key}`);
        if (record.isr.includes(id))
          fail(this, `broker ${id} has epoch ${after.brokerEpoch} and its former self is in sync in ${key}`);
        if (record.elr.includes(id) && world.isLossyStart(id, after.incarnation))
          fail(this, `broker ${id} restarted lossy, has epoch ${after.brokerEpoch} and is still eligible in ${key}`);
      }
    },
  },
  {
    name: 'I6 a fenced broker is given nothing',
    onPartitionWritten(world, { key, before, after }) {
      const isNew = before === null;
      if (after.leader !== noBroker && after.leader !== before?.leader && !world.audit.isActive(after.leader))
        fail(this, `${after.leader} was made leader of ${key} and is not active`);
      if (isNew) return;
      const wasElected = before.isr.length === 0 && after.isr.length === 1;
      for (const id of after.isr)
        if (!before.isr.includes(id) && !wasElected && !world.audit.isActive(id))
          fail(this, `${id} entered the ISR of ${key} and is not active`);
    },
    atEnd(world) {
      for (const { key, record } of world.partitions())
        for (const id of record.isr)
          if (!world.audit.isUnfenced(id)) fail(this, `${id} is fenced and in the ISR of ${key}`);
    },
  },
  {
    name: 'I8 a leader holds everything committed',
    onLeading(world, id, replica, state) {
      if (state.record.uncleanEpoch === state.leaderEpoch) return;
      // One that learns late of an election long past need not hold what was committed since; nobody acks to it.
      const until = world.committedOf(replica.key).findIndex(({ committedIn }) => committedIn >= state.leaderEpoch);
      assertHolds(this, world, replica.key, id, 0, 'leader', until < 0 ? undefined : until);
    },
  },
  {
    name: 'I9 ISR and ELR hold everything committed',
    onPartitionWritten(world, { key, after }) {
      for (const id of after.isr) assertHolds(this, world, key, id, 0, 'ISR member');
      for (const id of after.elr) assertHolds(this, world, key, id, 0, 'ELR member');
    },
    onHighWatermark(world, _, { key }) {
      const record = world.recordOf(key);
      if (record === null) return;
      const from = world.lastCommitFrom;
      for (const id of record.isr) assertHolds(this, world, key, id, from, 'ISR member');
      for (const id of record.elr) assertHolds(this, world, key, id, from, 'ELR member');
    },
    onCutting(world, id, { key }, end) {
      const record = world.recordOf(key);
      if (record === null || world.isExcused(id, key) || end >= world.committedOf(key).length) return;
      if (record.isr.includes(id) || record.elr.includes(id))
        fail(this, `${id} of ${key} cuts to ${end}, committed is everything before ${world.committedOf(key).length}`);
    },
    atEnd(world) {
      for (const { key, record } of world.partitions())
        for (const id of [...record.isr, ...record.elr]) assertHolds(this, world, key, id, 0, 'member');
    },
  },
  new HighWatermarkNeverFalls(),
  new ReadersNeverGoBack(),
  new LogMatching(),
  {
    name: 'I15 nobody cuts below its own high watermark',
    onCutting(world, id, { key, log }, end) {
      if (end < log.highWatermark && world.recordOf(key)?.uncleanEpoch === -1)
        fail(this, `${id} of ${key} cuts to ${end}, below its high watermark ${log.highWatermark}`);
    },
    onQuarantined(_, id, { key }, reason) {
      fail(this, `${id} of ${key} had to stop: ${reason}`);
    },
  },
  {
    name: 'I16 the epoch cache equals the epochs in the log',
    onLeading(_, id, { key, log }) {
      assertCacheMatches(this, id, key, log);
    },
    onAppending(_, id, { key, log }) {
      assertCacheMatches(this, id, key, log);
    },
  },
  {
    name: 'I18 acks=all means committed',
    onAcked(world, { key, baseOffset, acks, values }) {
      if (acks !== -1) return;
      const committed = world.committedOf(key);
      for (const [i, value] of values.entries())
        if (committed[baseOffset + i]?.value !== value)
          fail(
            this,
            `${value} was acknowledged at offset ${baseOffset + i} of ${key}, committed there is ${committed[baseOffset + i]?.value}`,
          );
    },
  },
  {
    name: 'I19 an isolated leader takes no writes',
    onTakingWrite(world, process, { key }, acks) {
      const silentMs = world.scheduler.nowMs - process.lastContactMs;
      if (silentMs > 2_000 && (world.recordOf(key)?.replicas.length ?? 0) > 1)
        fail(
          this,
          `${process.brokerId} took a write with acks ${acks} to ${key}; nobody has reached it for ${Math.round(silentMs)} ms`,
        );
    },
  },
  new OneLeaderPerEpoch(),
  {
    name: 'I21 unclean recovery only where nothing else is left',
    onPartitionWritten(world, { key, before, after }) {
      if (before === null || after.uncleanEpoch === before.uncleanEpoch) return;
      for (const id of [...before.isr, ...before.elr])
        if (world.audit.isActive(id)) fail(this, `${key} was recovered uncleanly beside ${id}`);
    },
  },
  {
    name: 'I22 whoever leaves a small ISR stays eligible',
    onPartitionWritten(world, { key, before, after }) {
      if (before === null || after.isr.length >= Math.min(after.minIsr, after.replicas.length)) return;
      if (after.uncleanEpoch !== before.uncleanEpoch || after.minIsr !== before.minIsr) return;
      for (const id of [...before.isr, ...before.elr])
        if (
          !after.isr.includes(id) &&
          !after.elr.includes(id) &&
          !world.isExcused(id, key) &&
          after.replicas.includes(id)
        )
          fail(this, `${id} left ${key} with ISR [${after.isr}] below min ISR ${after.minIsr} and is not eligible`);
    },
  },
  {
    name: 'C17 replicas agree at the end',
    atEnd(world) {
      for (const { key, record } of world.partitions()) {
        const leading = world.logOf(record.leader, key);
        for (const id of record.replicas) {
          const log = world.logOf(id, key);
          if (!log || !leading) return fail(this, `${id} has no log of ${key}`);
          for (let at = Math.max(log.startOffset, leading.startOffset); at < leading.endOffset; at++)
            if (log.at(at)?.value !== leading.at(at)?.value)
              fail(
                this,
                `${id} and ${record.leader} differ at ${at} of ${key}: ${JSON.stringify(log.at(at))}, ${JSON.stringify(leading.at(at))}`,
              );
        }
      }
    },
  },
  {
    name: 'C2 nothing acknowledged is lost',
    atEnd(world) {
      for (const { key, baseOffset, acks, values } of world.acked) {
        const record = world.recordOf(key);
        if (acks !== -1 || record === null) continue;
        const log = world.logOf(record.leader, key);
        for (const [i, value] of values.entries())
          if (log && baseOffset + i >= log.startOffset && log.at(baseOffset + i)?.value !== value)
            fail(this, `${value}, acknowledged at ${baseOffset + i} of ${key}, is gone`);
      }
    },
  },
  {
    name: 'C3 an idempotent record is there once',
    atEnd(world) {
      for (const { key, record } of world.partitions()) {
        const log = world.logOf(record.leader, key);
        const seen = new Set<number>();
        for (let at = log?.startOffset ?? 0; log && at < log.endOffset; at++) {
          const found = log.at(at);
          if (!found || found.producerId < 0) continue;
          if (seen.has(found.value)) fail(this, `${found.value} is twice in ${key}`);
          seen.add(found.value);
        }
      }
    },
  },
  {
    name: 'I1 every broker ends with what the store holds',
    atEnd(world) {
      const plain = (image: World['audit']): string =>
        JSON.stringify([[...image.brokers].sort(), [...image.topics].sort(), image.controller, [...image.live].sort()]);
      const expected = plain(world.audit);
      for (const broker of world.brokers)
        if (broker.running && plain(broker.running.image) !== expected)
          fail(this, `broker ${broker.id} has another image than the store`);
    },
  },
];

function assertCacheMatches(invariant: Invariant, id: BrokerId, key: string, log: ModelLog): void {
  const scanned = log.scanEpochs();
  const cached = log.epochs.entries.filter(({ epoch }) => scanned.some((entry) => entry.epoch === epoch));
  const isSame =
    cached.length === scanned.length &&
    cached.every(({ epoch, startOffset }, i) => scanned[i]?.epoch === epoch && scanned[i]?.startOffset === startOffset);
  if (!isSame)
    fail(
      invariant,
      `${id} of ${key}: cached ${JSON.stringify(log.epochs.entries)}, in the log ${JSON.stringify(scanned)}`,
    );
}

class HighWatermarkNeverFalls implements Invariant {
  readonly name = 'I11 the high watermark never falls and stands still below min ISR';
  readonly #last = new WeakMap<LeaderState, Offset>();

  onHighWatermark(_: World, id: BrokerId, { key, record }: SimulatedReplica, state: LeaderState): void {
    const last = this.#last.get(state);
    if (last !== undefined && state.highWatermark < last)
      fail(this, `${id} of ${key} fell from ${last} to ${state.highWatermark}`);
    this.#last.set(state, state.highWatermark);
    if (last === undefined || record === null || record.leaderEpoch !== state.leaderEpoch) return;
    const minIsr = Math.min(record.minIsr, record.replicas.length);
    if (state.highWatermark > last && record.isr.length < minIsr)
      fail(this, `${id} of ${key} moved to ${state.highWatermark} with ISR [${record.isr}] below min ISR ${minIsr}`);
  }
}

class ReadersNeverGoBack implements Invariant {
  readonly name = 'I12 the high watermark never falls for a reader';
  /** By partition and leader epoch: the highest answer to ListOffsets(latest). */
  readonly #answers = new Map<string, Map<number, Offset>>();

  onHighWatermark(_: World, id: BrokerId, { key }: SimulatedReplica, state: LeaderState): void {
    if (!state.isOffsetAvailable || state.record.uncleanEpoch !== -1) return;
    let answers = this.#answers.get(key);
    if (!answers) {
      answers = new Map();
      this.#answers.set(key, answers);
    }
    for (const [epoch, answered] of answers)
      if (epoch < state.leaderEpoch && answered > state.highWatermark)
        fail(
          this,
          `${id} of ${key} answers ${state.highWatermark} in epoch ${state.leaderEpoch}; epoch ${epoch} answered ${answered}`,
        );
    answers.set(state.leaderEpoch, state.highWatermark);
  }
}

/**
 * Same offset and epoch means same record, and the record before it was of the same epoch wherever both are: so by
 * induction everything before it is the same, too (I14, I20).
 */
class LogMatching implements Invariant {
  readonly name = 'I14 same offset and epoch, same log before it';
  readonly #records = new Map<string, Map<number, { value: number; previousEpoch: number | null }>>();

  onAppending(_: World, id: BrokerId, { key, log }: SimulatedReplica, records: readonly ModelRecord[]): void {
    let known = this.#records.get(key);
    if (!known) {
      known = new Map();
      this.#records.set(key, known);
    }
    let at = log.endOffset as number;
    let previousEpoch = at > log.startOffset ? log.lastEpoch : null;
    for (const { epoch, value } of records) {
      const name = at * 1_000_000 + epoch;
      const found = known.get(name);
      if (!found) known.set(name, { value, previousEpoch });
      else if (found.value !== value)
        fail(this, `${key} ${at} of epoch ${epoch} is ${found.value}, and ${value} on ${id}`);
      else if (found.previousEpoch === null) found.previousEpoch = previousEpoch;
      else if (previousEpoch !== null && found.previousEpoch !== previousEpoch)
        fail(
          this,
          `${key} ${at} of epoch ${epoch} follows epoch ${found.previousEpoch}, and ${previousEpoch} on ${id}`,
        );
      if (previousEpoch !== null && previousEpoch > epoch)
        fail(this, `${id} of ${key}: epoch ${epoch} after ${previousEpoch}`);
      previousEpoch = epoch;
      at++;
    }
  }
}

class OneLeaderPerEpoch implements Invariant {
  readonly name = 'I20 one leader per leader epoch, epochs step by one';
  readonly #leaders = new Map<string, string>();

  onPartitionWritten(_: World, { key, before, after }: PartitionWrite): void {
    if (before === null) return;
    if (after.partitionEpoch !== before.partitionEpoch + 1)
      fail(this, `${key} went from partition epoch ${before.partitionEpoch} to ${after.partitionEpoch}`);
    const steps = after.leaderEpoch - before.leaderEpoch;
    if (steps !== 0 && steps !== 1)
      fail(this, `${key} went from leader epoch ${before.leaderEpoch} to ${after.leaderEpoch}`);
    if (steps === 0 && after.leader !== before.leader)
      fail(this, `${key} changed its leader within epoch ${after.leaderEpoch}`);
    if (after.isr.length > 0 && after.leader !== noBroker && !after.isr.includes(after.leader))
      fail(this, `${key} is led by ${after.leader}, which is not in the ISR [${after.isr}]`);
  }

  onLeading(world: World, id: BrokerId, { key }: SimulatedReplica, state: LeaderState): void {
    const name = `${key} ${state.leaderEpoch}`;
    const who = `${id} ${world.brokers[id]?.running?.incarnation}`;
    const known = this.#leaders.get(name) ?? who;
    if (known !== who) fail(this, `${key} epoch ${state.leaderEpoch} is led by ${known} and by ${who}`);
    this.#leaders.set(name, who);
  }
}
