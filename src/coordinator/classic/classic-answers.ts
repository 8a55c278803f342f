/** What members of a generation are told: the leader who is in it, everybody who leads, each what it reads. */
import type { JoinGroupAnswer, SyncGroupAnswer } from '../group-requests.ts';
import { type ClassicMember, metadataOf } from './classic-member.ts';

/** What a group has agreed on, or had when it last did. */
export interface Generation {
  readonly generation: number;
  readonly protocolType: string;
  readonly protocol: string | null;
  readonly leader: string | null;
}

/** `members` are those of the group; they are told to the leader alone. */
export function joinAnswer(memberId: string, of: Generation, members: Iterable<ClassicMember>): JoinGroupAnswer {
  const answer = answerTo(memberId, of);
  return memberId === of.leader ? { ...answer, members: toldToLeader(members, of) } : answer;
}

/**
 * To a static member that came back without disturbing anybody; `of` is led by whom it will be with it. KIP-814: a leader
 * need not assign again. An older client that leads must not believe so, or it would: it is told of `formerLeader`.
 */
export function successionAnswer(
  memberId: string,
  of: Generation,
  members: Iterable<ClassicMember>,
  { formerLeader, knowsSkipAssignment }: { formerLeader: string | null; knowsSkipAssignment: boolean },
): JoinGroupAnswer {
  if (memberId !== of.leader) return answerTo(memberId, of);
  if (!knowsSkipAssignment) return answerTo(memberId, { ...of, leader: formerLeader });
  return { ...joinAnswer(memberId, of, members), skipAssignment: true };
}

export const syncAnswer = ({ protocolType, protocol }: Generation, assignment: Buffer): SyncGroupAnswer => ({
  protocolType,
  protocol,
  assignment,
});

const answerTo = (memberId: string, { generation, protocolType, protocol, leader }: Generation): JoinGroupAnswer => ({
  generation,
  protocolType,
  protocol,
  leader: leader ?? '',
  memberId,
  skipAssignment: false,
  members: [],
});

const toldToLeader = (members: Iterable<ClassicMember>, { protocol }: Generation): JoinGroupAnswer['members'] =>
  Array.from(members, (member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    metadata: metadataOf(member, protocol),
  }));
