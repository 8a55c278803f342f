/** How a leader of a classic group shares partitions out: anew each time, or so that nobody gets what another still reads. */

export interface SharingMember {
  readonly memberId: string;
  /** What it says it reads, since the generation it names. */
  readonly owned: readonly number[];
  readonly generation: number;
}

export type Shares = ReadonlyMap<string, readonly number[]>;

/** `first`: any; two leaders share out alike but for it. */
export function sharedEagerly(members: readonly SharingMember[], partitions: number, first: number): Shares {
  return new Map(
    members.map(({ memberId }, i) => [
      memberId,
      upTo(partitions).filter((partition) => (partition + first) % members.length === i),
    ]),
  );
}

/** KIP-429: a partition that moves goes to nobody first; its former reader gives it up and joins once more. */
export function sharedCooperatively(members: readonly SharingMember[], partitions: number): Shares {
  const owners = new Map<number, SharingMember>();
  for (const member of members)
    for (const partition of member.owned)
      if (partition < partitions && member.generation > (owners.get(partition)?.generation ?? -1))
        owners.set(partition, member);
  const quota = Math.ceil(partitions / members.length);
  const targets = new Map<string, number[]>(members.map(({ memberId }) => [memberId, []]));
  const free: number[] = [];
  for (const partition of upTo(partitions)) {
    const kept = targets.get(owners.get(partition)?.memberId ?? '');
    if (kept !== undefined && kept.length < quota) kept.push(partition);
    else free.push(partition);
  }
  for (const partition of free) {
    const [memberId, least] = [...targets].reduce((a, b) => (b[1].length < a[1].length ? b : a));
    least.push(partition);
    const owner = owners.get(partition);
    if (owner !== undefined && owner.memberId !== memberId) least.pop();
  }
  return targets;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
