/**
 * Which topics do the members of a group of consumers read? Asked by those who delete offsets, or let them expire, and
 * looked up in the bytes of all members only then: a rebalance of a thousand members does without.
 */
import type { ConsumerProtocol } from '../group-modules.ts';
import { metadataOf } from './classic-member.ts';
import type { ClassicMembers } from './classic-members.ts';

export class SubscribedTopics {
  readonly #members: ClassicMembers;
  readonly #consumerProtocol: ConsumerProtocol;
  #known: {
    readonly version: number;
    readonly protocol: string | null;
    readonly topics: ReadonlySet<string> | null;
  } | null = null;

  constructor(members: ClassicMembers, consumerProtocol: ConsumerProtocol) {
    this.#members = members;
    this.#consumerProtocol = consumerProtocol;
  }

  /** By what members say for this protocol; null where one of them cannot be understood. */
  of(protocol: string | null): ReadonlySet<string> | null {
    const { version } = this.#members;
    if (this.#known?.version !== version || this.#known.protocol !== protocol)
      this.#known = { version, protocol, topics: this.#find(protocol) };
    return this.#known.topics;
  }

  #find(protocol: string | null): ReadonlySet<string> | null {
    const topics = new Set<string>();
    for (const member of this.#members.all()) {
      const subscription = this.#consumerProtocol.decodeSubscription(metadataOf(member, protocol));
      if (subscription === null) return null;
      for (const topic of subscription.topics) topics.add(topic);
    }
    return topics;
  }
}
