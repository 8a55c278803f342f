/** One member of a classic group, as its coordinator knows it. What of it is written: `ClassicMemberValue`. */
import type { ClassicMemberValue } from '../group-records.ts';
import type { JoinGroupRequest } from '../group-requests.ts';

export type MemberProtocols = JoinGroupRequest['protocols'];

/** The request of the member that has no answer yet; there is never more than one. */
export interface Waiting {
  readonly for: 'join' | 'sync';
  readonly requestId: number;
}

export interface ClassicMember {
  readonly memberId: string;
  /** `group.instance.id` (KIP-345); null for a dynamic member. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  /** Most wanted first. After a load only the one that was chosen is known, until the member joins again. */
  protocols: MemberProtocols;
  /** Empty until the leader's has come. */
  assignment: Buffer;
  /** Not told its generation yet: it sends no heartbeats, so its first join has a time limit of its own. */
  isNew: boolean;
  /** It did not come when the others joined last, as static members need not: it may go on with what it had before that. */
  isAbsent: boolean;
  /** So much of it is in the group's record (`sizeOf`); 0 before it is written. */
  readonly writtenBytes: number;
  /** Set through `ClassicMembers.setWaiting` alone, which counts. */
  waiting: Waiting | null;
}

export const noBytes = Buffer.alloc(0);

export function newMember(memberId: string, request: JoinGroupRequest): ClassicMember {
  const { instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols } = request;
  return {
    memberId,
    instanceId,
    clientId,
    clientHost,
    rebalanceTimeoutMs,
    sessionTimeoutMs,
    protocols,
    assignment: noBytes,
    isNew: true,
    isAbsent: false,
    writtenBytes: 0,
    waiting: null,
  };
}

export function loadedMember(value: ClassicMemberValue, protocol: string | null): ClassicMember {
  const { memberId, instanceId, clientId, clientHost, sessionTimeoutMs, subscription, assignment } = value;
  const protocols = protocol === null ? [] : [{ name: protocol, metadata: subscription }];
  return {
    memberId,
    instanceId,
    clientId,
    clientHost,
    rebalanceTimeoutMs: value.rebalanceTimeoutMs === -1 ? sessionTimeoutMs : value.rebalanceTimeoutMs,
    sessionTimeoutMs,
    protocols,
    assignment,
    isNew: false,
    isAbsent: false,
    writtenBytes: sizeOf({ memberId, instanceId, clientId, clientHost, protocols }).bytes,
    waiting: null,
  };
}

/** Empty for a protocol that the member does not know. */
export const metadataOf = (member: ClassicMember, protocol: string | null): Buffer =>
  member.protocols.find(({ name }) => name === protocol)?.metadata ?? noBytes;

export function toValue(member: ClassicMember, protocol: string | null, assignment: Buffer): ClassicMemberValue {
  const { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs } = member;
  return {
    memberId,
    instanceId,
    clientId,
    clientHost,
    rebalanceTimeoutMs,
    sessionTimeoutMs,
    subscription: metadataOf(member, protocol),
    assignment,
  };
}

/** The same names with the same metadata in the same order: the member asks for nothing new. */
export const hasSameProtocols = (member: ClassicMember, protocols: MemberProtocols): boolean =>
  member.protocols.length === protocols.length &&
  member.protocols.every(({ name, metadata }, at) => {
    const other = protocols[at];
    return other !== undefined && other.name === name && other.metadata.equals(metadata);
  });

export type Described = Pick<ClassicMember, 'memberId' | 'instanceId' | 'clientId' | 'clientHost' | 'protocols'>;

/** How large a member is: what is kept of it, and what at least its part of the group's record takes, both in bytes. */
export interface MemberSize {
  readonly bytes: number;
  readonly recordBytes: number;
}

/** Of a member besides texts and metadata: objects, entries of maps, deadlines. */
const memberBytes = 600;
const protocolBytes = 100;

/** Neither is exact: texts are counted by their characters, and of what is kept double. */
export function sizeOf({ memberId, instanceId, clientId, clientHost, protocols }: Described): MemberSize {
  const characters = memberId.length + (instanceId?.length ?? 0) + clientId.length + clientHost.length;
  let bytes = memberBytes + 2 * characters;
  let least: number | null = null;
  for (const { name, metadata } of protocols) {
    bytes += protocolBytes + 2 * name.length + metadata.length;
    if (least === null || metadata.length < least) least = metadata.length;
  }
  return { bytes, recordBytes: characters + (least ?? 0) };
}

/** What is kept of it that is in no record. */
export const unwrittenBytes = (member: ClassicMember, { bytes }: MemberSize): number =>
  Math.max(0, bytes - member.writtenBytes);
