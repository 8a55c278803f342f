import type { BrokerId, LeaderEpoch, Offset } from './brands.ts';

/**
 * Every refusal a core or a room can answer, but for those of groups below, as a code and facts. `broker/kafka-errors.ts` alone knows Kafka's numbers.
 * What the caller should do: [retry] the same again, [refresh] metadata and retry, [stop] and tell the user.
 */
export type PeerFault =
  // Where the partition is led. [refresh]
  | { code: 'UNKNOWN_TOPIC_OR_PARTITION' }
  | { code: 'UNKNOWN_TOPIC_ID' }
  | { code: 'LEADER_NOT_AVAILABLE' }
  | { code: 'NOT_LEADER'; leaderId: BrokerId; leaderEpoch: LeaderEpoch }
  | { code: 'FENCED_LEADER_EPOCH'; leaderId: BrokerId; leaderEpoch: LeaderEpoch }
  | { code: 'UNKNOWN_LEADER_EPOCH' }
  // The log. [stop] but for OFFSET_NOT_AVAILABLE [retry] and STORAGE [refresh]
  | { code: 'OFFSET_OUT_OF_RANGE'; asked: Offset; logStartOffset: Offset; logEndOffset: Offset }
  | { code: 'OFFSET_NOT_AVAILABLE' }
  | { code: 'SEGMENT_CORRUPT'; file: string; position: number; reason: string }
  | { code: 'STORAGE'; reason: string }
  | { code: 'CORRUPT_MESSAGE'; reason: string }
  | { code: 'INVALID_RECORD'; reason: string; recordErrors?: readonly { index: number; reason: string }[] }
  | { code: 'INVALID_TIMESTAMP'; reason: string }
  | { code: 'MESSAGE_TOO_LARGE'; reason: string }
  | { code: 'RECORD_LIST_TOO_LARGE'; reason: string }
  | { code: 'UNSUPPORTED_COMPRESSION_TYPE' }
  | { code: 'UNSUPPORTED_FOR_MESSAGE_FORMAT' }
  // Idempotent producers. [stop]
  | { code: 'OUT_OF_ORDER_SEQUENCE_NUMBER'; reason: string }
  | { code: 'INVALID_PRODUCER_EPOCH'; reason: string }
  | { code: 'INVALID_TXN_STATE'; reason: string }
  // Acknowledgement. [retry]
  | { code: 'NOT_ENOUGH_REPLICAS' }
  | { code: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' }
  | { code: 'REQUEST_TIMED_OUT' }
  | { code: 'INVALID_REQUIRED_ACKS' }
  // Topics and their administration. [stop] but for NOT_CONTROLLER [retry]
  | { code: 'TOPIC_ALREADY_EXISTS'; reason: string }
  | { code: 'TOPIC_DELETION_DISABLED' }
  | { code: 'INVALID_TOPIC'; reason: string }
  | { code: 'INVALID_PARTITIONS'; reason: string }
  | { code: 'INVALID_REPLICATION_FACTOR'; reason: string }
  | { code: 'INVALID_REPLICA_ASSIGNMENT'; reason: string }
  | { code: 'INVALID_CONFIG'; reason: string }
  | { code: 'INVALID_REQUEST'; reason: string }
  | { code: 'POLICY_VIOLATION'; reason: string }
  | { code: 'UNSUPPORTED_VERSION'; reason: string }
  | { code: 'ELECTION_NOT_NEEDED' }
  | { code: 'ELIGIBLE_LEADERS_NOT_AVAILABLE' }
  | { code: 'NOT_CONTROLLER' }
  // Control protocol between brokers. [refresh]
  | { code: 'INELIGIBLE_REPLICA' }
  | { code: 'OPERATION_NOT_ATTEMPTED' }
  | { code: 'INVALID_UPDATE_VERSION' }
  | { code: 'STALE_BROKER_EPOCH' }
  | { code: 'DUPLICATE_BROKER_ID'; reason: string }
  // Sessions and coordinators.
  | { code: 'FETCH_SESSION_ID_NOT_FOUND' }
  | { code: 'INVALID_FETCH_SESSION_EPOCH' }
  | { code: 'FETCH_SESSION_TOPIC_ID_ERROR' }
  | { code: 'COORDINATOR_NOT_AVAILABLE' }
  | { code: 'COORDINATOR_LOAD_IN_PROGRESS' }
  | { code: 'NOT_COORDINATOR' };

/**
 * Refusals of a group's coordinator, which travel to clients alone: [stop], but for those that name a member, a generation
 * or an epoch [join again], and UNSTABLE_OFFSET_COMMIT [retry].
 */
export type GroupFault =
  | { code: 'INVALID_GROUP_ID' }
  | { code: 'GROUP_ID_NOT_FOUND'; reason: string }
  | { code: 'NON_EMPTY_GROUP' }
  | { code: 'GROUP_SUBSCRIBED_TO_TOPIC' }
  | { code: 'GROUP_MAX_SIZE_REACHED'; reason: string }
  | { code: 'INVALID_SESSION_TIMEOUT' }
  | { code: 'INCONSISTENT_GROUP_PROTOCOL' }
  | { code: 'MEMBER_ID_REQUIRED'; memberId: string }
  | { code: 'UNKNOWN_MEMBER_ID'; reason: string }
  | { code: 'FENCED_INSTANCE_ID'; reason: string }
  | { code: 'ILLEGAL_GENERATION' }
  | { code: 'REBALANCE_IN_PROGRESS' }
  | { code: 'FENCED_MEMBER_EPOCH'; reason: string }
  | { code: 'STALE_MEMBER_EPOCH' }
  | { code: 'UNRELEASED_INSTANCE_ID'; reason: string }
  | { code: 'UNSUPPORTED_ASSIGNOR'; reason: string }
  | { code: 'INVALID_REGULAR_EXPRESSION'; reason: string }
  | { code: 'OFFSET_METADATA_TOO_LARGE' }
  | { code: 'INVALID_COMMIT_OFFSET_SIZE' }
  | { code: 'UNSTABLE_OFFSET_COMMIT' };

export type Fault = PeerFault | GroupFault;

export type FaultCode = Fault['code'];
/** The fault of one code, with its facts. */
export type FaultOf<Code extends FaultCode> = Extract<Fault, { code: Code }>;

/** How drivers throw a refusal; the per-partition loop of a handler turns it into an answer. */
export class BrokerError extends Error {
  override name = 'BrokerError';
  readonly fault: Fault;
  constructor(fault: Fault) {
    const where = fault.code === 'SEGMENT_CORRUPT' ? ` in ${fault.file} at position ${fault.position}` : '';
    super('reason' in fault ? `${fault.code}${where}: ${fault.reason}` : fault.code);
    this.fault = fault;
  }
}
