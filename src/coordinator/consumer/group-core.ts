/**
 * What both ways into a group of the new protocol share: its state, patterns that are being evaluated, its deadlines, and
 * the records of members that change or go.
 */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Fault } from '../../model/fault.ts';
import type { Now, TopicsChange } from '../coordinator-shard.ts';
import type { GroupStep } from '../group.ts';
import { deadlineKey, type GroupModules } from '../group-modules.ts';
import type { ConsumerGroupRecord, ConsumerMemberValue, GroupRecord } from '../group-records.ts';
import { memberStates } from '../group-records.ts';
import type { GroupAnswer } from '../group-requests.ts';
import { ConsumerGroupState } from './consumer-group-state.ts';
import {
  changeMember,
  changeTopicsOfPatterns,
  type GroupContext,
  type MemberChange,
  type MemberChanged,
  removeMembers,
} from './group-change.ts';
import { downgradeRecords, mayDowngrade } from './migration.ts';
import { RegexResolution } from './regex-resolution.ts';
import { subscriptionOf } from './subscription-counts.ts';

/** What a deadline of a consumer group ends; unlike those of classic groups, since one may become the other. */
export const purposes = {
  session: 'consumerSession',
  /** A member gives up what was taken from it. */
  rebalance: 'consumerRebalance',
  /** A member of the classic protocol was told to join again. */
  classicJoin: 'consumerClassicJoin',
  /** A member of the classic protocol has joined and fetches what it has. */
  classicSync: 'consumerClassicSync',
  /** Not an end: topics are left to match against patterns. */
  regex: 'consumerRegex',
} as const;
type Purpose = (typeof purposes)[keyof typeof purposes];

const memberPurposes = [purposes.session, purposes.rebalance, purposes.classicJoin, purposes.classicSync];

/** When members whose time is over could not be removed, since nothing could be written, it is tried again. */
const fenceRetryMs = 500;
/** Well below the smallest `max.message.bytes` in use: all at once may be more than the log takes, now and ever after. */
const fenceMaxBytes = 300_000;

export class GroupCore {
  readonly groupId: string;
  readonly modules: GroupModules;
  readonly state = new ConsumerGroupState();
  readonly #regexes: RegexResolution;
  /** Topics may have changed since the group epoch was written; not so only once they were found to be the same. */
  #isMetadataStale = true;

  constructor(groupId: string, modules: GroupModules) {
    this.groupId = groupId;
    this.modules = modules;
    this.#regexes = new RegexResolution(modules.options.consumerRegexRefreshIntervalMs);
  }

  get image(): ClusterImage {
    return this.modules.image();
  }

  context(now: Now): GroupContext {
    const { groupId, state, image } = this;
    return { groupId, state, image, assignors: this.modules.options.consumerAssignors, now };
  }

  replay(record: ConsumerGroupRecord): void {
    this.state.replay(record);
    if (record.kind === 'consumerGroupMember' && record.value === null) this.#cancelAll(record.memberId);
  }

  /** Sessions of all members start now, and so does the time of those who have something to give up. */
  onLoaded(now: Now): void {
    this.#regexes.onLoaded();
    for (const [memberId, value] of this.state.members) {
      this.setDeadline(purposes.session, memberId, now.monotonicMs + this.sessionTimeoutMs(value));
      // One of the classic protocol is told to join again first, and has its time from then.
      if (value.classicMemberMetadata === null && this.#mustGiveUp(memberId))
        this.setDeadline(purposes.rebalance, memberId, now.monotonicMs + value.rebalanceTimeoutMs);
    }
  }

  /** Members have come with the records of another group: their sessions start now. */
  onUpgraded(now: Now): void {
    for (const [memberId, value] of this.state.members)
      if (this.deadlineOf(purposes.session, memberId) === null)
        this.setDeadline(purposes.session, memberId, now.monotonicMs + this.sessionTimeoutMs(value));
  }

  onTopicsChanged(change: TopicsChange): void {
    this.#isMetadataStale = true;
    this.#regexes.onTopicsChanged(change);
  }

  close(): void {
    for (const memberId of this.state.members.keys()) this.#cancelAll(memberId);
    this.cancelDeadline(purposes.regex, '');
  }

  // -- members

  /** Why a pattern is refused. */
  regexFault(value: ConsumerMemberValue): Fault | null {
    const { regex } = subscriptionOf(value);
    return regex === null ? null : this.#regexes.check(regex);
  }

  change(change: Omit<MemberChange, 'regexes' | 'isMetadataStale'>, now: Now): MemberChanged {
    const { state, image } = this;
    const value = state.subscriptions.shared(change.value);
    const before = state.members.get(change.replaces ?? change.memberId);
    const gone = before === undefined ? [] : [subscriptionOf(before)];
    const { patterns } = state.subscriptions.after(gone, subscriptionOf(value));
    const regexes = this.#regexes.resolve(patterns, state.regexes, image, now);
    this.#maybeScanOn(now);
    const isMetadataStale = this.#isMetadataStale;
    const changed = changeMember(this.context(now), { ...change, value, regexes, isMetadataStale });
    if (changed.isMetadataFresh) this.#isMetadataStale = false;
    return changed;
  }

  /** Members go. Where only members of the classic protocol are left the group becomes one of that. */
  remove(memberIds: readonly string[], now: Now): GroupRecord[] {
    const context = this.context(now);
    const mayGoBack = mayDowngrade(this.state, memberIds, null, this.modules.options);
    const downgraded = mayGoBack ? downgradeRecords(context, memberIds, null, this.modules) : null;
    return downgraded?.records ?? removeMembers(context, memberIds);
  }

  // -- deadlines

  /** The member's time is over, and so may be that of others: they go together, since each of them is a step for all. */
  fence(purpose: Purpose, memberId: string, now: Now): GroupStep | null {
    if (!this.#isDue(purpose, memberId)) return null;
    const memberIds = [memberId];
    let bytes = this.#tombstoneBytes(memberId);
    for (const other of this.state.members.keys()) {
      if (other === memberId || !this.#isOver(other, now)) continue;
      bytes += this.#tombstoneBytes(other);
      // One batch, which the log must take: the others' time is over in the next tick, too.
      if (bytes > fenceMaxBytes) break;
      memberIds.push(other);
    }
    for (const other of memberIds) this.setDeadline(purposes.session, other, now.monotonicMs + fenceRetryMs);
    return this.step(this.remove(memberIds, now));
  }

  /** At most so much is written when the member goes, its id and the group's being UTF-8. */
  #tombstoneBytes(memberId: string): number {
    return 3 * (3 * (this.groupId.length + memberId.length) + 40);
  }

  /** Whether the end of this time still means something for the member. */
  #isDue(purpose: Purpose, memberId: string): boolean {
    const member = this.state.members.get(memberId);
    if (member === undefined) return false;
    switch (purpose) {
      case purposes.rebalance:
        return this.#mustGiveUp(memberId);
      case purposes.classicJoin:
      case purposes.classicSync:
        return member.classicMemberMetadata !== null;
      default:
        return true;
    }
  }

  #isOver(memberId: string, now: Now): boolean {
    return memberPurposes.some((purpose) => {
      const atMs = this.deadlineOf(purpose, memberId);
      return atMs !== null && atMs <= now.monotonicMs && this.#isDue(purpose, memberId);
    });
  }

  #mustGiveUp(memberId: string): boolean {
    return this.state.currentOf(memberId).state === memberStates.unrevokedPartitions;
  }

  /** Patterns are evaluated on, or anew. */
  scanOn(now: Now): GroupStep | null {
    const { state, image } = this;
    const found = this.#regexes.resolve(state.subscriptions.now().patterns, state.regexes, image, now);
    this.#maybeScanOn(now);
    const records = changeTopicsOfPatterns(this.context(now), found);
    return records.length === 0 ? null : this.step(records);
  }

  /** With the next tick: what is due now would be taken in this one. */
  #maybeScanOn(now: Now): void {
    if (this.#regexes.isScanning) this.setDeadline(purposes.regex, '', now.monotonicMs + 1);
  }

  setDeadline(purpose: Purpose, memberId: string, atMs: number): void {
    this.modules.deadlines.set(this.#key(purpose, memberId), atMs);
  }
  cancelDeadline(purpose: Purpose, memberId: string): void {
    this.modules.deadlines.cancel(this.#key(purpose, memberId));
  }
  deadlineOf(purpose: Purpose, memberId: string): number | null {
    return this.modules.deadlines.deadlineOf(this.#key(purpose, memberId));
  }
  #cancelAll(memberId: string): void {
    for (const purpose of memberPurposes) this.cancelDeadline(purpose, memberId);
  }
  #key(purpose: Purpose, memberId: string): string {
    return deadlineKey({ groupId: this.groupId, purpose, memberId });
  }

  /** A member of the classic protocol brings its own; the group's `consumer.session.timeout.ms` goes before the broker's. */
  sessionTimeoutMs({ classicMemberMetadata }: ConsumerMemberValue): number {
    if (classicMemberMetadata !== null) return classicMemberMetadata.sessionTimeoutMs;
    return this.#configured('consumer.session.timeout.ms') ?? this.modules.options.consumerSessionTimeoutMs;
  }
  heartbeatIntervalMs(): number {
    return this.#configured('consumer.heartbeat.interval.ms') ?? this.modules.options.consumerHeartbeatIntervalMs;
  }
  #configured(name: string): number | null {
    const value = this.image.config('group', this.groupId)[name];
    return value === undefined ? null : Number(value);
  }

  // -- steps

  step(records: readonly GroupRecord[]): GroupStep {
    return { key: this.groupId, records, answers: [] };
  }
  answered(requestId: number, records: readonly GroupRecord[], answer: GroupAnswer): GroupStep {
    return { key: this.groupId, records, answers: [{ requestId, answer }] };
  }
  refused(requestId: number, fault: Fault): GroupStep {
    return this.answered(requestId, [], { fault });
  }

  unknownMember(memberId: string): Fault {
    return { code: 'UNKNOWN_MEMBER_ID', reason: `${memberId} is not a member of group ${this.groupId}` };
  }
  /** Who comes as an instance that another member is now, or that there is not. */
  instanceFault(memberId: string, instanceId: string): Fault | null {
    const holderId = this.state.staticMembers.get(instanceId);
    if (holderId === undefined) return { code: 'UNKNOWN_MEMBER_ID', reason: `there is no instance ${instanceId}` };
    if (holderId === memberId) return null;
    return { code: 'FENCED_INSTANCE_ID', reason: `instance ${instanceId} is now member ${holderId}` };
  }
  sizeFault(memberId: string): Fault | null {
    const { consumerMaxSize } = this.modules.options;
    if (this.state.members.size < consumerMaxSize || this.state.members.has(memberId)) return null;
    return { code: 'GROUP_MAX_SIZE_REACHED', reason: `the group has ${consumerMaxSize} members` };
  }
}
