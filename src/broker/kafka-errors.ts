/**
 * Faults as Kafka's error codes: the only file that knows which number stands for which refusal, and where an old
 * version of a request needs an older code.
 */

import type { Logger } from '../env/logger.ts';
import type { Fault, FaultCode } from '../model/fault.ts';
import { BrokerError } from '../model/fault.ts';
import { errorCodes } from '../wire/error-codes.ts';

export const unknownServerError = errorCodes.UNKNOWN_SERVER_ERROR;

// A fault without a row does not compile.
const kafkaCode = {
  UNKNOWN_TOPIC_OR_PARTITION: errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  UNKNOWN_TOPIC_ID: errorCodes.UNKNOWN_TOPIC_ID,
  LEADER_NOT_AVAILABLE: errorCodes.LEADER_NOT_AVAILABLE,
  NOT_LEADER: errorCodes.NOT_LEADER_OR_FOLLOWER,
  FENCED_LEADER_EPOCH: errorCodes.FENCED_LEADER_EPOCH,
  UNKNOWN_LEADER_EPOCH: errorCodes.UNKNOWN_LEADER_EPOCH,
  OFFSET_OUT_OF_RANGE: errorCodes.OFFSET_OUT_OF_RANGE,
  OFFSET_NOT_AVAILABLE: errorCodes.OFFSET_NOT_AVAILABLE,
  SEGMENT_CORRUPT: errorCodes.KAFKA_STORAGE_ERROR,
  STORAGE: errorCodes.KAFKA_STORAGE_ERROR,
  CORRUPT_MESSAGE: errorCodes.CORRUPT_MESSAGE,
  INVALID_RECORD: errorCodes.INVALID_RECORD,
  INVALID_TIMESTAMP: errorCodes.INVALID_TIMESTAMP,
  MESSAGE_TOO_LARGE: errorCodes.MESSAGE_TOO_LARGE,
  RECORD_LIST_TOO_LARGE: errorCodes.RECORD_LIST_TOO_LARGE,
  UNSUPPORTED_COMPRESSION_TYPE: errorCodes.UNSUPPORTED_COMPRESSION_TYPE,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: errorCodes.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  OUT_OF_ORDER_SEQUENCE_NUMBER: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  INVALID_PRODUCER_EPOCH: errorCodes.INVALID_PRODUCER_EPOCH,
  INVALID_TXN_STATE: errorCodes.INVALID_TXN_STATE,
  NOT_ENOUGH_REPLICAS: errorCodes.NOT_ENOUGH_REPLICAS,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  REQUEST_TIMED_OUT: errorCodes.REQUEST_TIMED_OUT,
  INVALID_REQUIRED_ACKS: errorCodes.INVALID_REQUIRED_ACKS,
  TOPIC_ALREADY_EXISTS: errorCodes.TOPIC_ALREADY_EXISTS,
  TOPIC_DELETION_DISABLED: errorCodes.TOPIC_DELETION_DISABLED,
  INVALID_TOPIC: errorCodes.INVALID_TOPIC_EXCEPTION,
  INVALID_PARTITIONS: errorCodes.INVALID_PARTITIONS,
  INVALID_REPLICATION_FACTOR: errorCodes.INVALID_REPLICATION_FACTOR,
  INVALID_REPLICA_ASSIGNMENT: errorCodes.INVALID_REPLICA_ASSIGNMENT,
  INVALID_CONFIG: errorCodes.INVALID_CONFIG,
  INVALID_REQUEST: errorCodes.INVALID_REQUEST,
  POLICY_VIOLATION: errorCodes.POLICY_VIOLATION,
  UNSUPPORTED_VERSION: errorCodes.UNSUPPORTED_VERSION,
  ELECTION_NOT_NEEDED: errorCodes.ELECTION_NOT_NEEDED,
  ELIGIBLE_LEADERS_NOT_AVAILABLE: errorCodes.ELIGIBLE_LEADERS_NOT_AVAILABLE,
  NOT_CONTROLLER: errorCodes.NOT_CONTROLLER,
  INELIGIBLE_REPLICA: errorCodes.INELIGIBLE_REPLICA,
  OPERATION_NOT_ATTEMPTED: errorCodes.OPERATION_NOT_ATTEMPTED,
  INVALID_UPDATE_VERSION: errorCodes.INVALID_UPDATE_VERSION,
  STALE_BROKER_EPOCH: errorCodes.STALE_BROKER_EPOCH,
  DUPLICATE_BROKER_ID: errorCodes.DUPLICATE_BROKER_REGISTRATION,
  FETCH_SESSION_ID_NOT_FOUND: errorCodes.FETCH_SESSION_ID_NOT_FOUND,
  INVALID_FETCH_SESSION_EPOCH: errorCodes.INVALID_FETCH_SESSION_EPOCH,
  FETCH_SESSION_TOPIC_ID_ERROR: errorCodes.FETCH_SESSION_TOPIC_ID_ERROR,
  COORDINATOR_NOT_AVAILABLE: errorCodes.COORDINATOR_NOT_AVAILABLE,
  COORDINATOR_LOAD_IN_PROGRESS: errorCodes.COORDINATOR_LOAD_IN_PROGRESS,
  NOT_COORDINATOR: errorCodes.NOT_COORDINATOR,
  INVALID_GROUP_ID: errorCodes.INVALID_GROUP_ID,
  GROUP_ID_NOT_FOUND: errorCodes.GROUP_ID_NOT_FOUND,
  NON_EMPTY_GROUP: errorCodes.NON_EMPTY_GROUP,
  GROUP_SUBSCRIBED_TO_TOPIC: errorCodes.GROUP_SUBSCRIBED_TO_TOPIC,
  GROUP_MAX_SIZE_REACHED: errorCodes.GROUP_MAX_SIZE_REACHED,
  INVALID_SESSION_TIMEOUT: errorCodes.INVALID_SESSION_TIMEOUT,
  INCONSISTENT_GROUP_PROTOCOL: errorCodes.INCONSISTENT_GROUP_PROTOCOL,
  MEMBER_ID_REQUIRED: errorCodes.MEMBER_ID_REQUIRED,
  UNKNOWN_MEMBER_ID: errorCodes.UNKNOWN_MEMBER_ID,
  FENCED_INSTANCE_ID: errorCodes.FENCED_INSTANCE_ID,
  ILLEGAL_GENERATION: errorCodes.ILLEGAL_GENERATION,
  REBALANCE_IN_PROGRESS: errorCodes.REBALANCE_IN_PROGRESS,
  FENCED_MEMBER_EPOCH: errorCodes.FENCED_MEMBER_EPOCH,
  STALE_MEMBER_EPOCH: errorCodes.STALE_MEMBER_EPOCH,
  UNRELEASED_INSTANCE_ID: errorCodes.UNRELEASED_INSTANCE_ID,
  UNSUPPORTED_ASSIGNOR: errorCodes.UNSUPPORTED_ASSIGNOR,
  INVALID_REGULAR_EXPRESSION: errorCodes.INVALID_REGULAR_EXPRESSION,
  OFFSET_METADATA_TOO_LARGE: errorCodes.OFFSET_METADATA_TOO_LARGE,
  INVALID_COMMIT_OFFSET_SIZE: errorCodes.INVALID_COMMIT_OFFSET_SIZE,
  UNSTABLE_OFFSET_COMMIT: errorCodes.UNSTABLE_OFFSET_COMMIT,
} satisfies Record<FaultCode, number>;

export const errorCodeOf = (fault: Fault): number => kafkaCode[fault.code];

/** What a person may read about a refusal; null where the code says it all. */
export const errorMessageOf = (fault: Fault): string | null => ('reason' in fault ? fault.reason : null);

/**
 * The fault that an exception stands for. Anything but a BrokerError is a bug or a failure nobody named: it is logged
 * with its stack and answered as UNKNOWN_SERVER_ERROR (null).
 */
export function faultOf(error: unknown, logger: Logger): Fault | null {
  if (error instanceof BrokerError) return error.fault;
  logger.error({ err: error }, 'a request failed in a way that has no name');
  return null;
}

export const errorCodeOfException = (error: unknown, logger: Logger): number => {
  const fault = faultOf(error, logger);
  return fault === null ? unknownServerError : errorCodeOf(fault);
};

/** OFFSET_NOT_AVAILABLE is LEADER_NOT_AVAILABLE for ListOffsets below 5 (KIP-207). */
export const listOffsetsErrorCode = (code: number, version: number): number =>
  code === errorCodes.OFFSET_NOT_AVAILABLE && version < 5 ? errorCodes.LEADER_NOT_AVAILABLE : code;

/** KAFKA_STORAGE_ERROR is NOT_LEADER_OR_FOLLOWER for Fetch up to 5 (KIP-112). */
export const fetchErrorCode = (code: number, version: number): number =>
  code === errorCodes.KAFKA_STORAGE_ERROR && version <= 5 ? errorCodes.NOT_LEADER_OR_FOLLOWER : code;

/**
 * COORDINATOR_NOT_AVAILABLE is NOT_COORDINATOR for OffsetFetch: consumers before 3.9 know only the latter there, and end at
 * the former instead of coming again (`GroupCoordinatorService.java`, handleOffsetFetchException).
 */
export const offsetFetchErrorCode = (code: number): number =>
  code === errorCodes.COORDINATOR_NOT_AVAILABLE ? errorCodes.NOT_COORDINATOR : code;
