/** Who is in a classic group, and what follows from that alone: who waits, what all support, who holds an instance id. */
import { assert } from '../../model/assert.ts';
import type { Fault } from '../../model/fault.ts';
import { type ClassicMember, type MemberProtocols, sizeOf, unwrittenBytes, type Waiting } from './classic-member.ts';
import { namesOf, selectProtocol } from './protocol-votes.ts';

export class ClassicMembers {
  /** In the order in which they came: leaders are chosen in it. */
  readonly #members = new Map<string, ClassicMember>();
  readonly #memberIdByInstanceId = new Map<string, string>();
  readonly #supporters = new Map<string, number>();
  /** Of members whose protocols are known. */
  #voters = 0;
  #waitingToJoin = 0;
  #unwrittenBytes = 0;
  #recordBytes = 0;
  /** Another one with each change of who is there, or of what one of them supports. */
  #version = 0;

  get version(): number {
    return this.#version;
  }
  get size(): number {
    return this.#members.size;
  }
  get waitingToJoin(): number {
    return this.#waitingToJoin;
  }
  /** What is kept of them that is in no record. */
  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }
  /** What they take in a record of the group, at least. */
  get recordBytes(): number {
    return this.#recordBytes;
  }

  has(memberId: string): boolean {
    return this.#members.has(memberId);
  }
  get(memberId: string): ClassicMember | undefined {
    return this.#members.get(memberId);
  }
  all(): MapIterator<ClassicMember> {
    return this.#members.values();
  }
  /** The member id that holds a static member's instance id. */
  holderOf(instanceId: string): string | undefined {
    return this.#memberIdByInstanceId.get(instanceId);
  }

  /** Why this is no member, or no longer the one that an instance id stands for (KIP-345). */
  faultOf(memberId: string, instanceId: string | null): Fault | null {
    if (instanceId !== null) {
      const holder = this.holderOf(instanceId);
      if (holder === undefined) return { code: 'UNKNOWN_MEMBER_ID', reason: `nobody is ${instanceId}` };
      if (holder !== memberId) return { code: 'FENCED_INSTANCE_ID', reason: `${instanceId} is ${holder} by now` };
    }
    if (this.has(memberId)) return null;
    const who = memberId === '' ? 'a member without id' : memberId;
    return { code: 'UNKNOWN_MEMBER_ID', reason: `${who} is not in the group` };
  }

  add(member: ClassicMember): void {
    assert(!this.#members.has(member.memberId), 'a member is added once');
    this.#members.set(member.memberId, member);
    this.#count(member, 1);
    if (member.instanceId === null) return;
    assert(!this.#memberIdByInstanceId.has(member.instanceId), 'an instance id has one holder');
    this.#memberIdByInstanceId.set(member.instanceId, member.memberId);
  }

  remove(memberId: string): ClassicMember | null {
    const member = this.#members.get(memberId);
    if (member === undefined) return null;
    this.#members.delete(memberId);
    this.#count(member, -1);
    if (member.instanceId !== null) this.#memberIdByInstanceId.delete(member.instanceId);
    return member;
  }

  setWaiting(member: ClassicMember, waiting: Waiting | null): void {
    if (member.waiting?.for === 'join') this.#waitingToJoin--;
    if (waiting?.for === 'join') this.#waitingToJoin++;
    member.waiting = waiting;
  }

  setProtocols(member: ClassicMember, protocols: MemberProtocols): void {
    this.#countProtocols(member, -1);
    member.protocols = protocols;
    this.#countProtocols(member, 1);
  }

  /** Whether every member could use one of `protocols`, as far as it is known what they support. */
  supportAny(protocols: MemberProtocols): boolean {
    return protocols.some(({ name }) => (this.#supporters.get(name) ?? 0) === this.#voters);
  }

  /** Of members that are there, with one of them in the place of another where that is asked. */
  selectProtocol(replaced: ClassicMember | null = null, by: MemberProtocols = []): string {
    return selectProtocol([...this.#members.values()].map((member) => (member === replaced ? by : member.protocols)));
  }

  /** The largest of all members, 0 where there are none. */
  rebalanceTimeoutMs(): number {
    let longestMs = 0;
    for (const { rebalanceTimeoutMs } of this.#members.values()) longestMs = Math.max(longestMs, rebalanceTimeoutMs);
    return longestMs;
  }

  firstId(): string | null {
    for (const memberId of this.#members.keys()) return memberId;
    return null;
  }

  #count(member: ClassicMember, by: 1 | -1): void {
    if (member.waiting?.for === 'join') this.#waitingToJoin += by;
    this.#countProtocols(member, by);
  }

  #countProtocols(member: ClassicMember, by: 1 | -1): void {
    this.#version++;
    const size = sizeOf(member);
    this.#unwrittenBytes += by * unwrittenBytes(member, size);
    this.#recordBytes += by * size.recordBytes;
    if (member.protocols.length > 0) this.#voters += by;
    for (const name of namesOf(member.protocols)) {
      const supporters = (this.#supporters.get(name) ?? 0) + by;
      if (supporters === 0) this.#supporters.delete(name);
      else this.#supporters.set(name, supporters);
    }
  }
}
