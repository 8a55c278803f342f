/** One group as a world has drawn it, and what is asked of its members whichever protocol they speak. */
import type { SimulatedProcess } from '../simulated-process.ts';

export interface GroupPlan {
  readonly groupId: string;
  readonly protocol: 'classic' | 'consumer' | 'both';
  readonly members: number;
  /** Its classic members keep what they read while they join again (KIP-429). */
  readonly isCooperative: boolean;
  /** Members have instance ids, and come back under them. */
  readonly isStatic: boolean;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly pollMs: number;
  /** Share of commits that are sent long after they were made. */
  readonly lateCommits: number;
}

export interface GroupMember {
  readonly name: string;
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly process: SimulatedProcess;
  /** The generation, or group epoch, in which it reads all that it was given; null while it does not. */
  readonly stableIn: number | null;
  readonly partitions: readonly number[];
  /** When a commit of it was last accepted; -1 for never. */
  readonly committedMs: number;
  /** That it was told this partition, and has not given it back. */
  holds(partition: number): boolean;
  /** It says goodbye and ends. */
  leave(): void;
}
