/**
 * Which protocol does a generation use? One that every member supports; each member votes for the first of its own that
 * is among those, and the most votes win; the first voted for, where votes are equal (`ClassicGroup.java`, selectProtocol).
 *
 * What a member supports may be unknown, where it was loaded from a record that names no protocol: nobody waits for it.
 */
import { assert } from '../../model/assert.ts';
import type { MemberProtocols } from './classic-member.ts';

/** `all` are the protocols of each member, at least one of which is known. */
export function selectProtocol(all: readonly MemberProtocols[]): string {
  const members = all.filter((protocols) => protocols.length > 0);
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
