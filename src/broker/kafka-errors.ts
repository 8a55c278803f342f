/**
 * Faults as Kafka's error codes: the only file that knows which number stands for which refusal, and where an old
 * version of a request needs an older code.
 */

import type { Logger } from '../env/logger.ts';
import type { Fault, FaultCode } from '../model/fault.ts';
import { BrokerError } from '../model/fault.ts';

export const noError = 0;
export const unknownServerError = -1;

// A fault without a row does not compile.
const kafkaCode = {
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  UNKNOWN_TOPIC_ID: 100,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER: 6, // NOT_LEADER_OR_FOLLOWER
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_OUT_OF_RANGE: 1,
  OFFSET_NOT_AVAILABLE: 78,
  SEGMENT_CORRUPT: 56, // KAFKA_STORAGE_ERROR
  STORAGE: 56,
  CORRUPT_MESSAGE: 2,
  INVALID_RECORD: 87,
  INVALID_TIMESTAMP: 32,
  MESSAGE_TOO_LARGE: 10,
  RECORD_LIST_TOO_LARGE: 18,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 43,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  REQUEST_TIMED_OUT: 7,
  INVALID_REQUIRED_ACKS: 21,
  TOPIC_ALREADY_EXISTS: 36,
  TOPIC_DELETION_DISABLED: 73,
  INVALID_TOPIC: 17, // INVALID_TOPIC_EXCEPTION
  INVALID_PARTITIONS: 37,
  INVALID_REPLICATION_FACTOR: 38,
  INVALID_REPLICA_ASSIGNMENT: 39,
  INVALID_CONFIG: 40,
  INVALID_REQUEST: 42,
  POLICY_VIOLATION: 44,
  UNSUPPORTED_VERSION: 35,
  ELECTION_NOT_NEEDED: 84,
  ELIGIBLE_LEADERS_NOT_AVAILABLE: 83,
  NOT_CONTROLLER: 41,
  INELIGIBLE_REPLICA: 107,
  OPERATION_NOT_ATTEMPTED: 55,
  INVALID_UPDATE_VERSION: 95,
  STALE_BROKER_EPOCH: 77,
  DUPLICATE_BROKER_ID: 101, // DUPLICATE_BROKER_REGISTRATION
  FETCH_SESSION_ID_NOT_FOUND: 70,
  INVALID_FETCH_SESSION_EPOCH: 71,
  FETCH_SESSION_TOPIC_ID_ERROR: 106,
  COORDINATOR_NOT_AVAILABLE: 15,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  NOT_COORDINATOR: 16,
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
export const listOffsetsErrorCode = (code: number, version: number): number => (code === 78 && version < 5 ? 5 : code);

/** KAFKA_STORAGE_ERROR is NOT_LEADER_OR_FOLLOWER for Fetch up to 5 (KIP-112). */
export const fetchErrorCode = (code: number, version: number): number => (code === 56 && version <= 5 ? 6 : code);
