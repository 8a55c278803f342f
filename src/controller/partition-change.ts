/**
 * How a partition record may change: the one function behind every write of one by the controller
 * (`replication-invariants` §2.4, KIP-966). Pure: which brokers may lead is an argument.
 *
 *   isr'          = the new ISR; where it is empty and an eligible replica is ACTIVE, that one alone
 *   pool          = (elr ∪ isr) \ isr', only replicas, without lossy restarts
 *   elr'          = |isr'| >= minIsr ? ∅ : pool
 *   lastKnownElr' = |isr'| >= minIsr ? ∅ : lastKnownElr ∪ lossy of the pool ∪ (old leader if isr' = ∅)
 *   leader'       = the same while it is in isr'; else elected, -1 where nobody can be
 *   leaderEpoch'  = + 1 if the leader changed or a replica left the assignment (I20)
 *   partitionEpoch' = + 1
 *
 * minIsr is capped at the replica count, as `min.insync.replicas` is for acks=all.
 */
import { assert } from '../model/assert.ts';
import { type BrokerId, nextLeaderEpoch, nextPartitionEpoch, noBroker } from '../model/brands.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';

export interface PartitionChange {
  /** The new ISR; the old one where it is left out. Only members of the assignment count. */
  readonly isr?: readonly BrokerId[];
  /** The new assignment, with what is being added and removed (§2.9). */
  readonly assignment?: {
    readonly replicas: readonly BrokerId[];
    readonly adding: readonly BrokerId[];
    readonly removing: readonly BrokerId[];
  };
  readonly minIsr?: number;
  /** Brokers that restarted and may have lost unflushed records: eligible no more (I22). */
  readonly lossy?: ReadonlySet<BrokerId>;
  /**
   * keep (the default): elect only when the leader is not in the new ISR · preferred: move to the preferred replica if
   * it can lead · chosen: what §2.10 found; unclean where it was not `balanced` (I21).
   */
  readonly leader?:
    | { readonly kind: 'keep' }
    | { readonly kind: 'preferred' }
    | { readonly kind: 'chosen'; readonly brokerId: BrokerId; readonly isUnclean: boolean };
}

/** The record after `change`, or `record` itself where nothing would be different. */
export function changePartition(
  record: PartitionRecord,
  change: PartitionChange,
  isActive: (id: BrokerId) => boolean,
): PartitionRecord {
  const replicas = change.assignment?.replicas ?? record.replicas;
  const adding = change.assignment?.adding ?? record.adding;
  const removing = change.assignment?.removing ?? record.removing;
  const minIsr = change.minIsr ?? record.minIsr;
  const lossy = change.lossy ?? noOne;
  const isReplica = (id: BrokerId): boolean => replicas.includes(id);
  const kept = sorted((change.isr ?? record.isr).filter(isReplica));
  assert(!kept.some((id) => lossy.has(id)), 'a lossy restart cannot be in sync: it leaves the ISR when it is fenced');

  const formerlyEligible = sorted([...record.elr, ...record.isr].filter(isReplica));
  const election = chooseLeader(
    record,
    change.leader ?? { kind: 'keep' },
    replicas,
    kept,
    without(formerlyEligible, lossy),
    isActive,
  );
  const { leader, isr, isUnclean } = election;

  const isEnough = isr.length >= effectiveMinIsr(minIsr, replicas);
  const left = isUnclean ? [] : formerlyEligible.filter((id) => !isr.includes(id));
  const elr = isEnough ? [] : without(left, lossy);
  const lastLeader = isr.length === 0 && isReplica(record.leader) ? [record.leader] : [];
  const lastKnownElr =
    isEnough || isUnclean
      ? []
      : sorted([...record.lastKnownElr.filter(isReplica), ...left.filter((id) => lossy.has(id)), ...lastLeader]);

  const isReplicaRemoved = record.replicas.some((id) => !isReplica(id));
  const isLeaderChanged = leader !== record.leader || change.leader?.kind === 'chosen';
  const leaderEpoch = isLeaderChanged || isReplicaRemoved ? nextLeaderEpoch(record.leaderEpoch) : record.leaderEpoch;
  const changed: PartitionRecord = {
    leader,
    leaderEpoch,
    partitionEpoch: nextPartitionEpoch(record.partitionEpoch),
    replicas,
    isr,
    elr,
    lastKnownElr,
    adding,
    removing,
    minIsr,
    uncleanEpoch: isUnclean ? leaderEpoch : record.uncleanEpoch,
  };
  return isSame(record, changed) ? record : changed;
}

/**
 * Who leads (§2.4 "elect"). Among those in sync the order of the assignment decides, not the order of ids: the leaders
 * of a dead broker then spread over the survivors as its replicas were spread.
 *
 *   in sync and ACTIVE     | eligible and ACTIVE | leader, ISR
 *   the preferred          | any                 | the preferred, isr'
 *   others                 | any                 | the first of the assignment, isr'
 *   nobody; isr' not empty | any                 | -1, isr' (a member may come back)
 *   nobody; isr' empty     | somebody            | the first of the assignment, which becomes the ISR
 *   nobody; isr' empty     | nobody              | -1, ∅ (§2.10)
 */
function chooseLeader(
  record: PartitionRecord,
  how: NonNullable<PartitionChange['leader']>,
  replicas: readonly BrokerId[],
  isr: readonly BrokerId[],
  eligible: readonly BrokerId[],
  isActive: (id: BrokerId) => boolean,
): { leader: BrokerId; isr: readonly BrokerId[]; isUnclean: boolean } {
  if (how.kind === 'chosen') {
    const isCleanLeft = [...isr, ...eligible].some((id) => isActive(id));
    assert(!isCleanLeft, 'a recovery beside a clean choice would lose records (I21)');
    return { leader: how.brokerId, isr: [how.brokerId], isUnclean: how.isUnclean };
  }
  const [preferred = noBroker] = replicas;
  const canLead = (id: BrokerId): boolean => isr.includes(id) && isActive(id);
  const keepsLeader = isr.includes(record.leader);
  if (how.kind === 'preferred' && canLead(preferred)) return { leader: preferred, isr, isUnclean: false };
  if (keepsLeader) return { leader: record.leader, isr, isUnclean: false };
  const leader = replicas.find(canLead);
  if (leader !== undefined) return { leader, isr, isUnclean: false };
  const heir = isr.length > 0 ? undefined : replicas.find((id) => eligible.includes(id) && isActive(id));
  return heir === undefined
    ? { leader: noBroker, isr, isUnclean: false }
    : { leader: heir, isr: [heir], isUnclean: false };
}

/** `min.insync.replicas` as it counts: never more than there are replicas. */
export const effectiveMinIsr = (minIsr: number, replicas: readonly BrokerId[]): number =>
  Math.min(minIsr, replicas.length);

const noOne: ReadonlySet<BrokerId> = new Set();

const sorted = (ids: readonly BrokerId[]): BrokerId[] => [...new Set(ids)].sort((a, b) => a - b);

const without = (ids: readonly BrokerId[], out: ReadonlySet<BrokerId>): BrokerId[] => ids.filter((id) => !out.has(id));

const sameList = (a: readonly BrokerId[], b: readonly BrokerId[]): boolean =>
  a.length === b.length && a.every((id, index) => id === b[index]);

/** Everything but the partition epoch. */
const isSame = (a: PartitionRecord, b: PartitionRecord): boolean =>
  a.leader === b.leader &&
  a.leaderEpoch === b.leaderEpoch &&
  a.minIsr === b.minIsr &&
  a.uncleanEpoch === b.uncleanEpoch &&
  sameList(a.replicas, b.replicas) &&
  sameList(a.isr, b.isr) &&
  sameList(a.elr, b.elr) &&
  sameList(a.lastKnownElr, b.lastKnownElr) &&
  sameList(a.adding, b.adding) &&
  sameList(a.removing, b.removing);
