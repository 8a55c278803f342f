/** The transport that replication needs; `cluster/` implements it over gRPC, the simulation over its network. */
import type { BrokerId } from '../model/brands.ts';
import type { Endpoint } from '../model/metadata-schema.ts';
import type { FollowerMessage, LeaderMessage } from './replication-messages.ts';

/** One direction of an open stream. Messages arrive in order or the stream ends. */
export interface ReplicationStream<Message> {
  /** Queues messages as one or few frames on the stream; they may be coalesced with others of the same turn. */
  send(messages: readonly Message[]): void;
  /** Bytes queued here and not yet taken by the connection: the sender holds back above its own limit. */
  readonly queuedBytes: number;
  close(): void;
}

export interface ReplicationStreamHandler<Message> {
  onMessages(messages: readonly Message[]): void;
  /** `queuedBytes` has fallen to where more may be sent. */
  onDrained(): void;
  onClosed(): void;
}

export interface ReplicationClient {
  /** Opens the stream to a leader's broker at once (no back-off: the caller decides when); failure to connect is `onClosed`. */
  connect(
    leader: BrokerId,
    endpoint: Endpoint,
    handler: ReplicationStreamHandler<LeaderMessage>,
  ): ReplicationStream<FollowerMessage>;
}

/** Whoever answers followers: gets each new stream and gives back what to call with its messages. */
export type ReplicationAcceptor = (
  stream: ReplicationStream<LeaderMessage>,
) => ReplicationStreamHandler<FollowerMessage>;
