/**
 * Which protocol does a generation use? One that every member supports; each member votes for the first of its own that
 * is among those, and the most votes win; the first voted for, where votes are equal (`ClassicGroup.java`, selectProtocol).
 */
import { assert } from '../../model/assert.ts';
import type { MemberProtocols } from './classic-member.ts';

/** `members` are the protocols of each member, not none. */
export function selectProtocol(members: readonly MemberProtocols[]): string {
  const supporters = new Map<string, number>();
  for (const protocols of members)
    for (const name of namesOf(protocols)) supporters.set(name, (supporters.get(name) ?? 0) + 1);
  const votes = new Map<string, number>();
  for (const protocols of members) {
    const vote = protocols.find(({ name }) => supporters.get(name) === members.length);
    if (vote !== undefined) votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1);
  }
  let chosen: string | null = null;
  for (const [name, count] of votes) if (chosen === null || count > (votes.get(chosen) ?? 0)) chosen = name;
  assert(chosen !== null, 'every member was let in for a protocol that all support');
  return chosen;
}

/** A protocol that a member names twice counts once. */
export const namesOf = (protocols: MemberProtocols): Set<string> => new Set(protocols.map(({ name }) => name));
